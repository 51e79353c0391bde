#!/usr/bin/python3
"""Makes what says the same thing in another form: Grafana's dashboards and Prometheus' consoles of dashboards.yaml, the Prometheus
operator's object of the rules.

  generate.py           writes ../grafana/*.json, consoles/*.html and ../kubernetes/components/monitoring/prometheus-rule.yaml
  generate.py --check   writes nothing; exit 1 and their names when one is not what it would write
"""
import json
import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
GRAFANA_UNITS = {"/s": "ops", "s": "s", "B": "bytes", "B/s": "Bps", "share": "percentunit", "days": "d", "": "short"}
# The metric whose labels a variable takes its values from, and what a value may not hold.
VARIABLES = {"virtual_server": ("gatepost_edge_open_sessions", "[^a-z0-9-]"),
             "instance": ("gatepost_edge_ready", "[^A-Za-z0-9.:_-]")}
CONSOLE_WINDOW = "5m"


def grafana(board):
    """One dashboard, as Grafana imports it or provisions it from a file."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    variables = [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
    if name := board.get("variable"):
        query = f"label_values({VARIABLES[name][0]}, {name})"
        variables.append({"name": name, "label": name.replace("_", " ").capitalize(), "type": "query", "datasource": source,
                          "query": {"query": query, "refId": "A"}, "definition": query, "refresh": 2, "includeAll": True,
                          "multi": True, "allValue": ".+", "sort": 1, "current": {"text": "All", "value": "$__all"}})
    panels, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(board["panels"], 1):
        stat = panel.get("kind") == "stat"
        width, tall = (6, 4) if stat else (12, 8)
        if x + width > 24 or (height and height != tall):
            x, y = 0, y + height
        height = tall
        panels.append({
            "id": number, "title": panel["title"], "type": "stat" if stat else "timeseries", "datasource": source,
            "description": panel.get("help", ""), "gridPos": {"x": x, "y": y, "w": width, "h": tall},
            "fieldConfig": {"defaults": {"unit": GRAFANA_UNITS[panel.get("unit", "")], "min": None if stat else 0}, "overrides": []},
            "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if stat else {"legend": {"displayMode": "list", "placement": "bottom"}},
            "targets": [{"refId": chr(ord("A") + i), "datasource": source, "expr": expr.replace("$window", "$__rate_interval"),
                         "legendFormat": re.sub(r"\{(\w+)\}", r"{{\1}}", legend)}
                        for i, (expr, legend) in enumerate(panel["queries"])]})
        x += width
    return json.dumps({
        "uid": f"gatepost-{board['id']}", "title": f"Gatepost: {board['title']}", "tags": ["gatepost"], "schemaVersion": 38,
        "editable": True, "timezone": "", "refresh": "30s", "time": {"from": "now-6h", "to": "now"},
        "links": [{"type": "dashboards", "title": "Gatepost", "tags": ["gatepost"], "asDropdown": True, "keepTime": True}],
        "templating": {"list": variables}, "panels": panels}, indent=1) + "\n"


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def console(board, boards):
    """One page: figures now, written by Prometheus; their last hour, drawn by the script in console_libraries/gatepost.lib."""
    out = ["<!-- Made by generate.py from dashboards.yaml. -->"]
    name = board.get("variable")
    out.append(f'{{{{ template "gatepost-head" (args {quoted(board["title"])}) }}}}')
    out.append("<nav>" + " ".join(f'<a href="{b["id"]}.html"{" class=here" if b is board else ""}>{b["title"]}</a>' for b in boards) + "</nav>")
    if name:
        metric, unfit = VARIABLES[name]
        out.append(f'{{{{ ${name} := reReplaceAll {quoted(unfit)} "" $params.{name} }}}}')
        out.append(f'<nav class=choice><a href="{board["id"]}.html" class="{{{{ if not ${name} }}}}here{{{{ end }}}}">all</a>')
        out.append(f'{{{{ range query "count by ({name}) ({metric})" | sortByLabel "{name}" }}}}')
        out.append(f'<a href="?{name}={{{{ .Labels.{name} }}}}" class="{{{{ if eq .Labels.{name} ${name} }}}}here{{{{ end }}}}">{{{{ .Labels.{name} }}}}</a>')
        out.append("{{ end }}</nav>")
        out.append(f'{{{{ if not ${name} }}}}{{{{ ${name} = ".+" }}}}{{{{ end }}}}')
    out.append("<main>")
    for panel in sorted(board["panels"], key=lambda p: p.get("kind") != "stat"):
        unit = panel.get("unit", "")
        kind = panel.get("kind", "graph")
        out.append(f'<section class={kind} data-unit="{unit}"><h2>{panel["title"]}</h2>')
        if "help" in panel:
            out.append(f'<p>{panel["help"]}</p>')
        if kind == "graph":
            out.append("<svg></svg>")
        out.append("<table>")
        for expr, legend in panel["queries"]:
            expr = expr.replace("$window", CONSOLE_WINDOW)
            if name and f"${name}" in expr:
                uses = expr.count(f"${name}")
                text = quoted(expr.replace("%", "%%").replace(f"${name}", "%s"))
                query = f"printf {text}{f' ${name}' * uses}"
            else:
                query = quoted(expr)
            labels = re.findall(r"\{(\w+)\}", legend)
            ordered = "".join(f' | sortByLabel "{label}"' for label in reversed(labels))
            shown = re.sub(r"\{(\w+)\}", r"{{ .Labels.\1 }}", legend)
            out.append(f'{{{{ $query := {query} }}}}<tbody data-query="{{{{ $query }}}}" data-legend="{legend}">')
            out.append(f'{{{{ range query $query{ordered} }}}}<tr><td>{shown}</td>'
                       f'<td data-value="{{{{ .Value }}}}">{{{{ template "gatepost-value" (args .Value "{unit}") }}}}</td></tr>'
                       "{{ else }}<tr class=none><td>nothing yet</td><td></td></tr>{{ end }}</tbody>")
        out.append("</table></section>")
    out.append('</main>\n{{ template "gatepost-tail" }}')
    return "\n".join(out) + "\n"


def operator_rules():
    """The rules as an object of the Prometheus operator: their text, two levels in."""
    out = ["# Made by generate.py from prometheus/rules.", "apiVersion: monitoring.coreos.com/v1", "kind: PrometheusRule", "metadata:",
           "  name: gatepost", "  namespace: gatepost", "  labels: {app.kubernetes.io/part-of: gatepost}", "spec:", "  groups:"]
    for path in sorted((HERE / "rules").glob("*.yml")):
        _, groups = path.read_text().split("\ngroups:\n")
        out += [f"  {line}" if line else "" for line in groups.rstrip("\n").split("\n")]
    return "\n".join(out) + "\n"


def files():
    """{path: text}: all that is made."""
    boards = yaml.safe_load((HERE / "dashboards.yaml").read_text())
    made = {HERE.parent / "kubernetes" / "components" / "monitoring" / "prometheus-rule.yaml": operator_rules()}
    for board in boards:
        made[HERE.parent / "grafana" / f"{board['id']}.json"] = grafana(board)
        made[HERE / "consoles" / f"{board['id']}.html"] = console(board, boards)
    return made


def main():
    made = files()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    stale += [p for folder in (HERE.parent / "grafana", HERE / "consoles") for p in folder.glob("*.*") if p not in made]
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"not made anew: {path}", file=sys.stderr)
        return 1 if stale else 0
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    for path, text in made.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
