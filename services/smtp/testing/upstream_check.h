// What a next hop was sent, read again by a parser that shares nothing with the session: CR LF ends a line and nothing
// else does, CR LF . CR LF ends a message, or the last BDAT of a binary one. For threats row S9.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gatepost::smtp {

struct UpstreamTranscript {
  // What is wrong with it; empty: nothing.
  std::string fault;
  struct Message {
    std::string sender;
    std::vector<std::string> recipients;
    std::string octets;  // unstuffed, our header field first
  };
  // Those that got their dot.
  std::vector<Message> messages;
  // Every recipient named, delivered to or not.
  std::vector<std::string> recipients;
  // It ends within a message.
  bool in_message = false;
};

UpstreamTranscript ReadUpstream(std::string_view octets);

}  // namespace gatepost::smtp
