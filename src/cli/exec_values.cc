// SPDX-License-Identifier: MPL-2.0
#include "cli/exec_values.h"

#include <cstring>
#include <string>
#include <unordered_set>

#include "base/decimal.h"
#include "base/text.h"

namespace sops {

namespace {

// Linux takes 6 MB of arguments and environment at most.
constexpr size_t kLargestEnvironment = 8 << 20;

// Floats below 0.0001 and from a million upwards have an exponent, as in SOPS (tried with 3.13.3).
constexpr int kSmallestPlainPoint = -3;
constexpr int kLargestPlainPoint = 6;

NumberText float_text(double number) {
  const ShortestDecimal decimal = shortest_decimal(number);
  const bool is_zero = decimal.slice(0, decimal.count) == "0";
  if (!is_zero && (decimal.point < kSmallestPlainPoint || decimal.point > kLargestPlainPoint)) {
    NumberText text = exponent_text(decimal, 2);
    for (char& c : text.characters) {
      if (c == 'e') c = 'E';
    }
    return text;
  }
  NumberText text = canonical_float_text(number);
  if (text.view().find('.') == std::string_view::npos) text.append(".0");
  return text;
}

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool is_nested(const Value& value) { return value.kind == ValueKind::kMapping || value.kind == ValueKind::kSequence; }

}  // namespace

std::string_view variable_text(const Value& scalar, SecureArena& arena) {
  switch (scalar.type) {
    case ScalarType::kNull:
      return "<nil>";
    case ScalarType::kBool:
      return scalar.text == "True" || scalar.text == "true" ? "true" : "false";
    case ScalarType::kFloat: {
      if (scalar.text.ends_with("Inf") || scalar.text == "NaN") return scalar.text;
      const std::string_view digits = scalar.text.starts_with('+') ? scalar.text.substr(1) : scalar.text;
      const auto number = parse_decimal_literal(digits);
      if (!number) return scalar.text;
      NumberText text = float_text(*number);
      const std::string_view stored = arena.store(text.view());
      wipe({reinterpret_cast<uint8_t*>(text.characters.data()), text.characters.size()});
      return stored;
    }
    case ScalarType::kTime: {  // without fractions of a second
      const size_t point = scalar.text.find('.');
      if (point == std::string_view::npos) return scalar.text;
      const size_t zone = scalar.text.find_first_not_of("0123456789", point + 1);
      const std::span<uint8_t> text = arena.allocate(scalar.text.size());
      const size_t tail = zone == std::string_view::npos ? 0 : scalar.text.size() - zone;
      std::memcpy(text.data(), scalar.text.data(), point);
      std::memcpy(text.data() + point, scalar.text.data() + scalar.text.size() - tail, tail);
      return as_text(text.first(point + tail));
    }
    default:
      return scalar.text;
  }
}

void Variables::add(std::string_view name, std::string_view value) {
  const std::span<uint8_t> text = arena_.allocate(name.size() + 1 + value.size());
  std::memcpy(text.data(), name.data(), name.size());
  text[name.size()] = '=';
  if (!value.empty()) std::memcpy(text.data() + name.size() + 1, value.data(), value.size());
  texts_.push_back(as_text(text));
  size_ += text.size();
}

Result<void> Variables::add_leaf(std::string_view name, const Value& value) {
  if (name.find('=') != std::string_view::npos || has_nul(name)) {
    return fail(ErrorCode::kUnsupported, "the key '{}' cannot name an environment variable", escape_for_message(name))
        .hint("names hold neither '=' nor NUL; exec-file hands the file over as a whole");
  }
  const std::string_view text = variable_text(value, arena_);
  if (has_nul(text)) {
    return fail(ErrorCode::kUnsupported, "the value of '{}' holds a NUL byte, which no environment variable can",
                escape_for_message(name))
        .hint("exec-file hands the file over as a whole");
  }
  if (size_ + name.size() + text.size() > kLargestEnvironment) {
    return fail(ErrorCode::kUnsupported, "the values are larger than an environment can be").hint("use exec-file");
  }
  add(name, text);
  return {};
}

Result<void> Variables::add_tree(const Value& tree, std::optional<std::string_view> separator) {
  // One open container: where we are in it, and how much of the name is its own.
  struct Level {
    const Value* container;
    size_t next_child;
    size_t next_index;  // of lists; comments do not count
    size_t name_size;
  };
  std::vector<Level> levels = {{&tree, 0, 0, 0}};
  std::string name;
  std::unordered_set<std::string> names;
  while (!levels.empty()) {
    Level& level = levels.back();
    if (level.next_child == level.container->children.size()) {
      levels.pop_back();
      continue;
    }
    const Value& child = level.container->children[level.next_child++];
    if (child.kind == ValueKind::kComment) continue;
    name.resize(level.name_size);
    if (levels.size() > 1) name += *separator;
    if (level.container->kind == ValueKind::kSequence) {
      name += std::to_string(level.next_index++);
    } else {
      name += child.key;
    }
    if (is_nested(child)) {
      if (!separator) {
        return fail(ErrorCode::kUnsupported, "the value of '{}' is a {}, which no environment variable can hold",
                    escape_for_message(name), child.kind == ValueKind::kMapping ? "mapping" : "list")
            .hint("--flatten _ makes one variable of each value below it; exec-file hands the file over as a whole");
      }
      levels.push_back({&child, 0, 0, name.size()});
      continue;
    }
    if (separator && !names.insert(name).second) {
      return fail(ErrorCode::kUnsupported, "two values would get the name '{}'", escape_for_message(name))
          .hint("choose another separator for --flatten");
    }
    TRY(add_leaf(name, child));
  }
  return {};
}

}  // namespace sops
