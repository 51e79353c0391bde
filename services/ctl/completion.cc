#include "services/ctl/completion.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "services/ctl/cli.h"

namespace gatepost::ctl {
namespace {

// One place in the tree, e.g. "virtual-server update", and what may come there.
struct Place {
  std::string path;
  std::vector<const CLI::App*> commands;
  std::vector<const CLI::Option*> options;
};

void Collect(const CLI::App& app, const std::string& path, std::vector<Place>* places) {
  Place place;
  place.path = path;
  for (const CLI::App* child : app.get_subcommands([](const CLI::App*) { return true; }))
    place.commands.push_back(child);
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return !o->get_lnames().empty(); }))
    place.options.push_back(option);
  places->push_back(place);
  for (const CLI::App* child : place.commands)
    Collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), places);
}

std::string Words(const Place& place, const Place& root) {
  std::string words;
  for (const CLI::App* command : place.commands) words += command->get_name() + " ";
  for (const CLI::Option* option : place.options) words += "--" + option->get_lnames().front() + " ";
  if (&place != &root) {
    for (const CLI::Option* option : root.options) {
      if (option->get_lnames().front() != "help") words += "--" + option->get_lnames().front() + " ";
    }
  }
  if (!words.empty()) words.pop_back();
  return words;
}

// The first line of a help text, fit for single quotes.
std::string Summary(std::string text) {
  text = text.substr(0, text.find('\n'));
  std::string out;
  for (char c : text) {
    if (c != '\'' && c != '\\' && c != '[' && c != ']' && c != ':') out += c;
  }
  return out;
}

std::string Bash(const std::vector<Place>& places) {
  std::string cases;
  for (const Place& place : places)
    cases += "    '" + place.path + "') words='" + Words(place, places.front()) + "' ;;\n";
  std::string known = "|";
  for (const Place& place : places) known += place.path + "|";
  return "# bash completion for gatepostctl:  . <(gatepostctl completion bash)\n"
         "_gatepostctl() {\n"
         "  local place='' word words='' i known='" +
         known +
         "'\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    word=\"${place:+$place }${COMP_WORDS[i]}\"\n"
         "    if [[ $known == *\"|$word|\"* ]]; then place=$word; fi\n"
         "  done\n"
         "  case $place in\n" +
         cases +
         "  esac\n"
         "  COMPREPLY=()\n"
         "  case ${COMP_WORDS[COMP_CWORD-1]} in\n"
         "    --output) words='text json yaml' ;;\n"
         "    -f|--file|--cert|--key|--ca|--chain|--private-key|--password-file|--config-file|--dir) words='' ;;\n"
         "  esac\n"
         "  while IFS= read -r word; do COMPREPLY+=(\"$word\"); done < <(compgen -W \"$words\" -- "
         "\"${COMP_WORDS[COMP_CWORD]}\")\n"
         "}\n"
         "complete -o default -F _gatepostctl gatepostctl\n";
}

std::string Zsh(const std::vector<Place>& places) {
  return "#compdef gatepostctl\n# zsh completion for gatepostctl:  . <(gatepostctl completion zsh), after compinit\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         Bash(places);
}

std::string Fish(const std::vector<Place>& places) {
  std::string out = "# fish completion for gatepostctl:  gatepostctl completion fish | source\n";
  for (const Place& place : places) {
    // At the root no noun was given yet; elsewhere every word of the path was.
    std::string condition = "__fish_use_subcommand";
    if (!place.path.empty()) {
      condition.clear();
      for (size_t begin = 0; begin < place.path.size();) {
        const size_t end = std::min(place.path.find(' ', begin), place.path.size());
        condition += (condition.empty() ? "" : "; and ") + std::string("__fish_seen_subcommand_from ") +
                     place.path.substr(begin, end - begin);
        begin = end + 1;
      }
      if (!place.commands.empty()) {
        condition += "; and not __fish_seen_subcommand_from";
        for (const CLI::App* command : place.commands) condition += " " + command->get_name();
      }
    }
    for (const CLI::App* command : place.commands) {
      out += "complete -c gatepostctl -f -n '" + condition + "' -a '" + command->get_name() + "' -d '" +
             Summary(command->get_description()) + "'\n";
    }
    for (const CLI::Option* option : place.options) {
      out += "complete -c gatepostctl " + (place.path.empty() ? std::string() : "-n '" + condition + "' ") + "-l " +
             option->get_lnames().front() + (option->get_items_expected_max() > 0 ? " -r" : "") + " -d '" +
             Summary(option->get_description()) + "'\n";
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> CompletionScript(const CLI::App& root, std::string_view shell) {
  std::vector<Place> places;
  Collect(root, "", &places);
  if (shell == "bash") return Bash(places);
  if (shell == "zsh") return Zsh(places);
  if (shell == "fish") return Fish(places);
  return absl::InvalidArgumentError("the shells are bash, zsh and fish");
}

void AddCompletion(CLI::App* root, Invocation* invocation) {
  CLI::App* command =
      root->add_subcommand("completion", "Print a script that teaches your shell this program's commands");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer("In ~/.bashrc:   . <(gatepostctl completion bash)");
  command->callback([root, invocation, shell] {
    invocation->action = [root, invocation, shell]() -> absl::Status {
      auto script = CompletionScript(*root, *shell);
      if (!script.ok()) return script.status();
      invocation->out << *script;
      return absl::OkStatus();
    };
  });
}

}  // namespace gatepost::ctl
