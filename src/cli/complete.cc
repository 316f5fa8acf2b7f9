// SPDX-License-Identifier: MPL-2.0
#include "cli/complete.h"

#include <algorithm>
#include <set>

#include "base/path.h"
#include "base/text.h"
#include "core/tree_path.h"
#include "formats/format.h"

namespace sops {
namespace {

constexpr size_t kMaxFileSize = 16 << 20;  // beyond, TAB would be slow
constexpr size_t kMaxCandidates = 5000;

// editing.md 5.2: "Names with control characters are left out." Also what else could deceive a terminal.
bool is_harmless(std::string_view name) { return escape_for_message(name, name.size()) == name; }

bool is_hidden(const FlagSpec& flag) {
  return flag.summary == "not supported yet" || flag.summary.starts_with("accepted for compatibility");
}

// The command of a line that is being typed.
struct TypedCommand {
  const CommandSpec* command = nullptr;  // nullptr: none yet, or the deprecated form without one
  bool is_help = false;                  // sops help …
  std::vector<FlagSpec> flags;           // valid there
  std::vector<std::string> words;        // without those that name the command; the last one is being typed
};

TypedCommand find_typed_command(std::span<const std::string> words) {
  TypedCommand result{.flags = root_flags(), .words = {words.begin(), words.end()}};
  const auto take_word = [&]() -> std::string {
    const size_t at = first_positional(result.words, result.flags);
    if (at + 1 >= result.words.size() || result.words[at] == "--") return {};
    return result.words[at];
  };
  const auto drop_word = [&] {
    result.words.erase(result.words.begin() +
                       static_cast<std::ptrdiff_t>(first_positional(result.words, result.flags)));
  };
  const std::string name = take_word();
  if (name == "help" || name == "h") {
    drop_word();
    result.is_help = true;
    return result;
  }
  const CommandSpec* command = find_command(name);
  if (command == nullptr) return result;
  drop_word();
  if (!command->children.empty()) {
    if (const CommandSpec* child = find_child(*command, take_word())) {
      drop_word();
      command = child;
    }
  }
  result.command = command;
  result.flags = command_flags(*command);
  return result;
}

// Collects what starts with the word that is being typed.
class Collector {
 public:
  explicit Collector(std::string_view typed) : typed_(typed) {}

  void add(std::string text, std::string_view summary = {}) {
    if (!text.starts_with(typed_) || !is_harmless(text) || found_.words.size() >= kMaxCandidates) return;
    found_.words.push_back({.text = std::move(text), .summary = std::string(summary)});
  }
  void add_files() { found_.files = true; }

  Candidates take() { return std::move(found_); }

 private:
  std::string_view typed_;
  Candidates found_;
};

void add_commands(Collector& found) {
  for (const CommandSpec* command : all_commands()) found.add(std::string(command->name), command->summary);
}

void add_children(const CommandSpec& command, Collector& found) {
  for (const CommandSpec* child : command.children) {
    found.add(std::string(child->name.substr(child->name.rfind(' ') + 1)), child->summary);
  }
}

// ---- paths inside a file

// A node without aliases around it.
NodeId resolve(const Document& document, NodeId id) {
  while (id != kNoNode && document.node(id).kind == NodeKind::kAlias) id = document.node(id).target;
  return id;
}

bool is_encrypted_comment(const Node& node) {
  return node.kind == NodeKind::kScalar && node.text.starts_with("ENC[") && node.text.ends_with(",type:comment]");
}

// What stands behind `base` in paths to the children of a container: ["key"] or [0].
struct Step {
  std::string text;
  NodeId node = kNoNode;
};

std::vector<Step> steps_into(const Document& document, NodeId container, char quote) {
  std::vector<Step> steps;
  const Node& parent = document.node(container);
  size_t index = 0;  // comments take up list slots (cli.md 5.1)
  std::set<std::string_view> seen;
  for (NodeId id = container + 1; id < parent.next && steps.size() < kMaxCandidates;
       id = document.node(id).next, ++index) {
    const Node& child = document.node(id);
    if (child.kind == NodeKind::kComment || id == document.branches[0].metadata) continue;
    if (parent.kind == NodeKind::kSequence) {
      if (!is_encrypted_comment(child)) steps.push_back({.text = format("[{}]", index), .node = id});
      continue;
    }
    if (child.key.find('[') != std::string_view::npos || !is_harmless(child.key) || !seen.insert(child.key).second)
      continue;
    steps.push_back({.text = format("[{}{}{}]", quote, child.key, quote), .node = id});
  }
  return steps;
}

// The container at `path`, kNoNode if there is none.
NodeId find_container(const Document& document, const TreePath& path) {
  NodeId at = document.branches[0].root;
  for (const PathComponent& component : path) {
    const Node& container = document.node(at);
    NodeId child = kNoNode;
    if (const auto* key = std::get_if<std::string>(&component)) {
      if (container.kind == NodeKind::kMapping) child = find_entry(document, at, *key);
    } else if (container.kind == NodeKind::kSequence) {
      int64_t left = std::get<int64_t>(component);
      for (NodeId id = at + 1; id < container.next && left >= 0; id = document.node(id).next, --left) {
        if (left == 0) child = id;
      }
    }
    at = resolve(document, child);
    if (at == kNoNode) return kNoNode;
  }
  return document.node(at).is_container() ? at : kNoNode;
}

// The key paths of the file that the line names; nothing if it names none.
void add_key_paths(const TypedCommand& line, std::string_view typed, std::string_view prefix, Services& services,
                   Collector& found) {
  const std::vector<WordRole> roles = word_roles(line.words, line.flags);
  std::string file;
  std::string format_id;
  for (size_t i = 0; i + 1 < roles.size(); ++i) {
    if (roles[i].kind == WordRole::Kind::kPositional && file.empty()) file = line.words[i];
    if (roles[i].flag == nullptr || roles[i].flag->name != "input-type") continue;
    const size_t equals = line.words[i].find('=');
    if (roles[i].kind == WordRole::Kind::kValue) format_id = line.words[i];
    if (roles[i].kind == WordRole::Kind::kFlag && equals != std::string::npos)
      format_id = line.words[i].substr(equals + 1);
  }
  if (file.empty() || file == "-") return;
  if (file.starts_with("~/")) file = services.environment.get("HOME").value_or("~") + file.substr(1);
  const std::string path = absolute_path(file, services.environment.working_directory());
  const auto info = services.files.info(path);
  if (!info || !*info || (*info)->kind != FileInfo::Kind::kRegular || (*info)->size > kMaxFileSize) return;
  const Result<SecureBytes> bytes = services.files.read(path);
  if (!bytes) return;
  if (find_format(format_id) == nullptr) format_id = std::string(format_for_path(path).id);
  for (std::string& candidate : complete_key_path(bytes->expose_text(), format_id, typed)) {
    found.add(std::string(prefix) + std::move(candidate));
  }
}

// ---- values and positionals

// `prefix` is what stands before the value in the same word: "--extract=".
void add_values(const TypedCommand& line, const FlagSpec& flag, std::string_view prefix, Services& services,
                Collector& found) {
  const std::string_view typed = std::string_view(line.words.back()).substr(prefix.size());
  switch (flag.words) {
    case ValueWords::kNone:
      return;
    case ValueWords::kFiles:
      return found.add_files();
    case ValueWords::kFormats:
      for (const FormatType* type : all_formats())
        found.add(std::string(prefix) + std::string(type->id), type->summary);
      return;
    case ValueWords::kKeyPaths:
      return add_key_paths(line, typed, prefix, services, found);
  }
}

void add_flags(const TypedCommand& line, std::span<const WordRole> roles, Collector& found) {
  const std::string& typed = line.words.back();
  for (const FlagSpec& flag : line.flags) {
    const auto is_it = [&](const WordRole& role) { return role.flag != nullptr && role.flag->name == flag.name; };
    const bool given = std::any_of(roles.begin(), roles.end() - 1, is_it);
    if (is_hidden(flag) || (given && flag.kind != FlagKind::kList)) continue;
    if (!flag.short_name.empty() && !typed.starts_with("--")) found.add("-" + flag.short_name, flag.summary);
    found.add("--" + flag.name, flag.summary);
  }
}

// The word of CommandSpec::arguments for the positional number `index`, "" if there may be none: "FILE", "INDEX", …
std::string argument_word(const CommandSpec& command, size_t index) {
  std::vector<std::string> names;
  for (std::string_view word : split(command.arguments, ' ')) {
    std::string name(word);
    std::erase_if(name, [](char c) { return c == '[' || c == ']'; });
    if (!name.empty() && name != "--") names.push_back(std::move(name));
  }
  if (index < names.size()) return names[index];
  const bool repeats = !names.empty() && (names.back().ends_with("...") || names.back().ends_with("…"));
  return repeats ? names.back() : "";
}

void add_positionals(const TypedCommand& line, size_t index, Services& services, Collector& found) {
  if (line.is_help) {
    const CommandSpec* parent = index == 1 ? find_command(line.words[0]) : nullptr;
    if (index == 0) add_commands(found);
    if (parent != nullptr) add_children(*parent, found);
    return;
  }
  if (line.command == nullptr) {
    const std::vector<WordRole> roles = word_roles(line.words, line.flags);
    const bool is_legacy = std::ranges::any_of(roles, [](const WordRole& role) { return is_legacy_mode(role.flag); });
    if (index == 0 && !is_legacy) {
      add_commands(found);
      found.add("help", "tell how to use a command");
    }
    return found.add_files();
  }
  if (!line.command->children.empty()) return add_children(*line.command, found);
  const std::string name = argument_word(*line.command, index);
  if (name == "INDEX") return add_key_paths(line, line.words.back(), "", services, found);
  if (!name.empty() && name != "NUMBER") found.add_files();
}

std::string answer(std::string first_line, const std::vector<Candidate>& words, size_t kept, bool with_summary) {
  std::string text = std::move(first_line) + "\n";
  for (const Candidate& word : words) {
    text += word.text.substr(kept);
    if (with_summary && !word.summary.empty() && is_harmless(word.summary)) text += "\t" + word.summary;
    text += "\n";
  }
  return text;
}

}  // namespace

Candidates complete(std::span<const std::string> words, Services& services) {
  if (words.empty()) return {.files = true};
  const TypedCommand line = find_typed_command(words);
  const std::string& typed = line.words.back();
  const std::vector<WordRole> roles = word_roles(line.words, line.flags);
  const WordRole& role = roles.back();
  Collector found(typed);
  const bool behind_separator = std::ranges::any_of(
      roles.begin(), roles.end() - 1, [](const WordRole& r) { return r.kind == WordRole::Kind::kSeparator; });
  const size_t equals = typed.find('=');
  if (role.kind == WordRole::Kind::kValue) {
    if (role.flag != nullptr) add_values(line, *role.flag, "", services, found);
  } else if (role.kind == WordRole::Kind::kFlag && equals != std::string::npos) {
    if (role.flag != nullptr)
      add_values(line, *role.flag, std::string_view(typed).substr(0, equals + 1), services, found);
  } else if (!behind_separator && typed.starts_with('-')) {
    add_flags(line, roles, found);
  } else {
    const auto index = static_cast<size_t>(std::count_if(
        roles.begin(), roles.end() - 1, [](const WordRole& r) { return r.kind == WordRole::Kind::kPositional; }));
    add_positionals(line, index, services, found);
  }
  return found.take();
}

std::vector<std::string> complete_key_path(std::string_view text, std::string_view format_id, std::string_view typed) {
  const FormatType* type = find_format(format_id);
  if (type == nullptr || type->wraps) return {};
  std::optional<SecureBytes> decoded;
  if (type->decode_text != nullptr) {
    Result<std::optional<SecureBytes>> result = type->decode_text(text);
    if (!result) return {};
    decoded = std::move(*result);
  }
  const Result<Document> document = type->scan(decoded ? decoded->expose_text() : text, ScanMode::kEncrypted);
  if (!document || document->branches.empty() || document->branches[0].root == kNoNode) return {};

  const size_t last = typed.rfind('[');
  if (last == std::string_view::npos && !typed.empty()) return {};
  const std::string base(typed.substr(0, last == std::string_view::npos ? 0 : last));
  const std::string_view begun = typed.substr(base.size());
  const char quote = begun.starts_with("['") ? '\'' : '"';
  const Result<TreePath> path = parse_tree_path(base);
  const NodeId container = path ? find_container(*document, *path) : kNoNode;
  if (container == kNoNode) return {};
  std::vector<std::string> result;
  NodeId only = kNoNode;
  for (const Step& step : steps_into(*document, container, quote)) {
    if (!step.text.starts_with(begun)) continue;
    result.push_back(base + step.text);
    only = resolve(*document, step.node);
  }
  // So that the shell does not close the word there.
  if (result.size() == 1 && only != kNoNode && document->node(only).is_container()) {
    const std::string parent = result[0];
    for (const Step& step : steps_into(*document, only, quote)) result.push_back(parent + step.text);
  }
  return result;
}

TypedLine split_typed_line(std::string_view line, size_t replaced_from) {
  constexpr std::string_view kBreaks = " \t\n;|&<>()";
  TypedLine result;
  std::string word;
  bool in_word = false;
  ShellQuote quote = ShellQuote::kNone;
  for (size_t i = 0; i <= line.size(); ++i) {
    if (i == replaced_from) {
      result.quote = quote;
      result.kept = word.size();
    }
    if (i == line.size()) break;
    const char c = line[i];
    const char next = i + 1 < line.size() ? line[i + 1] : '\0';
    if (quote == ShellQuote::kSingle) {
      if (c == '\'') {
        quote = ShellQuote::kNone;
      } else {
        word.push_back(c);
      }
      continue;
    }
    if (quote == ShellQuote::kNone && kBreaks.find(c) != std::string_view::npos) {
      if (in_word) result.words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == '"') {
      quote = quote == ShellQuote::kDouble ? ShellQuote::kNone : ShellQuote::kDouble;
    } else if (c == '\'' && quote == ShellQuote::kNone) {
      quote = ShellQuote::kSingle;
    } else if (c == '\\' &&
               (quote == ShellQuote::kNone || std::string_view("$`\"\\\n").find(next) != std::string_view::npos)) {
      // The next character means itself; a line feed means nothing; at the end of the line it is still to come.
      if (i + 1 < line.size() && i + 1 != replaced_from) {
        if (next != '\n') word.push_back(next);
        ++i;
      }
    } else {
      word.push_back(c);
    }
  }
  result.words.push_back(std::move(word));
  return result;
}

bool is_completion_request(std::span<const std::string> words) {
  return words.size() >= 3 && words[0] == "__complete" && words[2] == "--" &&
         (words[1] == "bash" || words[1] == "zsh" || words[1] == "fish");
}

std::string completion_answer(std::span<const std::string> words, Services& services) {
  if (words.size() < 3) return "files\n";
  if (words[0] != "bash") {
    const Candidates found = complete(words.subspan(2), services);
    return found.words.empty() && found.files ? "files\n" : answer("words", found.words, 0, true);
  }
  // The line is `sops …`; what bash replaces is its end, spelled as typed.
  if (words.size() != 4 || !words[2].ends_with(words[3])) return "files\n";
  const TypedLine line = split_typed_line(words[2], words[2].size() - words[3].size());
  if (line.words.size() < 2) return "files\n";
  const Candidates found = complete(std::span(line.words).subspan(1), services);
  if (found.words.empty() && found.files) return "files\n";
  const std::string_view quote = line.quote == ShellQuote::kSingle   ? "single"
                                 : line.quote == ShellQuote::kDouble ? "double"
                                                                     : "none";
  return answer(format("words {}", quote), found.words, line.kept, false);
}

std::string generate_bash_completion(std::span<const std::string> words, bool with_summary) {
  std::vector<std::string> line(words.begin(), words.end());
  const bool wants_flags = !line.empty() && line.back().starts_with('-');
  if (!wants_flags) line.emplace_back();
  const TypedCommand typed = find_typed_command(line);
  Collector found(wants_flags ? std::string_view(typed.words.back()) : std::string_view());
  if (wants_flags) {
    add_flags(typed, word_roles(typed.words, typed.flags), found);
  } else if (typed.command == nullptr && !typed.is_help && typed.words.size() == 1) {
    add_commands(found);
    found.add("help", "tell how to use a command");
    found.add("h", "tell how to use a command");
  } else if (typed.command != nullptr && !typed.command->children.empty()) {
    add_children(*typed.command, found);
  }
  std::string text;
  for (const Candidate& word : found.take().words) {
    text += word.text;
    if (with_summary && !wants_flags) text += ":" + word.summary;
    text += "\n";
  }
  return text;
}

}  // namespace sops
