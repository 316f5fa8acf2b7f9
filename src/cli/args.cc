// SPDX-License-Identifier: MPL-2.0
#include "cli/args.h"

#include <charconv>

namespace sops {

namespace {

// cli.md 1.3
std::optional<bool> parse_bool(std::string_view text) {
  for (std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::optional<int64_t> parse_int(std::string_view text) {
  std::string digits;
  for (char c : text) {
    if (c != '_') digits.push_back(c);
  }
  std::string_view rest = digits;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  int base = 10;
  if (rest.size() > 1 && rest[0] == '0') {
    const char mark = static_cast<char>(rest[1] | 32);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    rest.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
  }
  int64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value, base);
  if (rest.empty() || error != std::errc() || end != rest.data() + rest.size()) return std::nullopt;
  return negative ? -value : value;
}

const FlagSpec* find_flag(std::string_view name, std::span<const FlagSpec> flags) {
  for (const FlagSpec& flag : flags) {
    if (flag.name == name || (!flag.short_name.empty() && flag.short_name == name)) return &flag;
  }
  return nullptr;
}

// A word that begins with a dash and could be a flag: not "-", not "--", not a negative number.
bool looks_like_flag(std::string_view word) {
  if (word.size() < 2 || word[0] != '-' || word == "--") return false;
  return !(word[1] >= '0' && word[1] <= '9') && !(word[1] == '.' && word.size() > 2);
}

struct FlagWord {
  std::string_view name;
  std::optional<std::string_view> value;  // behind '='
};

FlagWord split_flag(std::string_view word) {
  word.remove_prefix(word.starts_with("--") ? 2 : 1);
  const size_t equals = word.find('=');
  if (equals == std::string_view::npos) return {.name = word, .value = std::nullopt};
  return {.name = word.substr(0, equals), .value = word.substr(equals + 1)};
}

Failure unknown_flag(std::string_view word, std::span<const FlagSpec> flags) {
  const FlagWord flag = split_flag(word);
  std::vector<std::string_view> names;
  for (const FlagSpec& known : flags) names.push_back(known.name);
  Failure failure = fail(ErrorCode::kUsage, "unknown flag '{}'", escape_for_message(word, 60));
  if (const auto near = nearest(flag.name, names)) return std::move(failure).hint(format("did you mean --{}?", *near));
  // Short flags cannot be bundled (cli.md 1.3).
  if (flag.name.size() == 2 && find_flag(flag.name.substr(0, 1), flags) != nullptr &&
      find_flag(flag.name.substr(1), flags) != nullptr) {
    return std::move(failure).hint(format("write -{} -{}", flag.name[0], flag.name[1]));
  }
  return std::move(failure).hint("sops --help lists the flags; a file whose name begins with '-' is written ./-name");
}

}  // namespace

std::string ParsedArgs::text(std::string_view name) const {
  const auto it = values_.find(name);
  return it == values_.end() || it->second.empty() ? std::string() : it->second.back();
}

std::vector<std::string> ParsedArgs::all(std::string_view name) const {
  const auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>() : it->second;
}

bool ParsedArgs::is_set(std::string_view name) const { return values_.contains(name); }

bool ParsedArgs::flag(std::string_view name) const { return parse_bool(text(name)).value_or(false); }

std::optional<int64_t> ParsedArgs::number(std::string_view name) const {
  const std::string value = text(name);
  return value.empty() ? std::nullopt : parse_int(value);
}

/// Fills a ParsedArgs.
class ArgParser {
 public:
  explicit ArgParser(std::span<const FlagSpec> flags) : flags_(flags) {}

  Result<ParsedArgs> run(std::span<const std::string> words, Environment& environment) {
    bool only_positionals = false;
    for (size_t i = 0; i < words.size(); ++i) {
      const std::string& word = words[i];
      if (only_positionals || !looks_like_flag(word)) {
        if (!only_positionals && word == "--") {
          only_positionals = true;
          args_.before_dashes = args_.positionals.size();
        } else {
          args_.positionals.push_back(word);
        }
        continue;
      }
      const FlagWord parts = split_flag(word);
      const FlagSpec* flag = find_flag(parts.name, flags_);
      if (flag == nullptr) return unknown_flag(word, flags_);
      std::string value;
      if (parts.value) {
        value = *parts.value;
      } else if (flag->kind == FlagKind::kBool) {
        value = "true";
      } else if (i + 1 < words.size()) {
        value = words[++i];
      } else {
        return fail(ErrorCode::kUsage, "the flag --{} needs a value", flag->name)
            .hint(format("write --{} {}", flag->name, flag->value_name));
      }
      TRY(add(*flag, parts.name, std::move(value)));
    }
    TRY(add_environment(environment));
    return std::move(args_);
  }

 private:
  Result<void> check(const FlagSpec& flag, const std::string& value, std::string_view origin) {
    if (flag.kind == FlagKind::kBool && !parse_bool(value)) {
      return fail(ErrorCode::kUsage, "{} is '{}', which is neither true nor false", origin,
                  escape_for_message(value, 40));
    }
    if (flag.kind == FlagKind::kInt && !parse_int(value)) {
      return fail(ErrorCode::kUsage, "{} is '{}', which is no whole number", origin, escape_for_message(value, 40));
    }
    return {};
  }

  Result<void> add(const FlagSpec& flag, std::string_view spelling, std::string value) {
    TRY(check(flag, value, "--" + flag.name));
    const auto [used, first] = spellings_.emplace(flag.name, spelling);
    if (!first && used->second != spelling) {
      return fail(ErrorCode::kUsage, "the flag --{} is given in two spellings", flag.name);
    }
    std::vector<std::string>& values = args_.values_[flag.name];
    if (flag.kind != FlagKind::kList) values.clear();
    values.push_back(std::move(value));
    return {};
  }

  Result<void> add_environment(Environment& environment) {
    for (const FlagSpec& flag : flags_) {
      if (flag.environment.empty() || args_.values_.contains(flag.name)) continue;
      auto value = environment.get(flag.environment);
      if (!value) continue;
      if (value->empty()) {
        // Only for a bool does the empty text mean something: false (cli.md 1.8).
        if (flag.kind == FlagKind::kBool) args_.values_[flag.name] = {"false"};
        continue;
      }
      TRY(check(flag, *value, "$" + flag.environment));
      args_.values_[flag.name] = {std::move(*value)};
    }
    return {};
  }

  std::span<const FlagSpec> flags_;
  ParsedArgs args_;
  std::map<std::string, std::string> spellings_;
};

Result<ParsedArgs> parse_args(std::span<const std::string> words, std::span<const FlagSpec> flags,
                              Environment& environment) {
  return ArgParser(flags).run(words, environment);
}

size_t first_positional(std::span<const std::string> words, std::span<const FlagSpec> flags) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (!looks_like_flag(words[i])) return i;
    const FlagWord parts = split_flag(words[i]);
    const FlagSpec* flag = find_flag(parts.name, flags);
    if (flag != nullptr && flag->kind != FlagKind::kBool && !parts.value) ++i;
  }
  return words.size();
}

std::vector<WordRole> word_roles(std::span<const std::string> words, std::span<const FlagSpec> flags) {
  using Kind = WordRole::Kind;
  std::vector<WordRole> roles;
  bool only_positionals = false;
  while (roles.size() < words.size()) {
    const std::string& word = words[roles.size()];
    if (!only_positionals && word == "--") {
      only_positionals = true;
      roles.push_back({.kind = Kind::kSeparator});
    } else if (only_positionals || !looks_like_flag(word)) {
      roles.push_back({.kind = Kind::kPositional});
    } else {
      const FlagWord parts = split_flag(word);
      const FlagSpec* flag = find_flag(parts.name, flags);
      roles.push_back({.kind = Kind::kFlag, .flag = flag});
      const bool takes_next = flag != nullptr && flag->kind != FlagKind::kBool && !parts.value;
      if (takes_next && roles.size() < words.size()) roles.push_back({.kind = Kind::kValue, .flag = flag});
    }
  }
  return roles;
}

std::vector<FlagSpec> merge_flags(std::vector<FlagSpec> flags, const std::vector<FlagSpec>& more) {
  for (const FlagSpec& flag : more) {
    if (find_flag(flag.name, flags) != nullptr) continue;
    FlagSpec copy = flag;
    // A command's own short name wins: -f, -y … mean other things in other commands.
    if (!copy.short_name.empty() && find_flag(copy.short_name, flags) != nullptr) copy.short_name.clear();
    flags.push_back(std::move(copy));
  }
  return flags;
}

}  // namespace sops
