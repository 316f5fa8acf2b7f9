// SPDX-License-Identifier: MPL-2.0
#include "formats/json/emit.h"

#include <array>
#include <vector>

#include "base/codec.h"
#include "base/decimal.h"
#include "formats/json/json.h"

namespace sops::json {
namespace {

// Bytes that stand for themselves in a string of SOPS's (format.md 6.2.7); of those from 0x80 on, it depends.
constexpr std::array<bool, 256> kIsPlain = [] {
  std::array<bool, 256> plain{};
  for (size_t byte = 0x20; byte < 0x80; ++byte) plain[byte] = true;
  for (const char c : {'"', '\\', '<', '>', '&'}) plain[static_cast<size_t>(c)] = false;
  return plain;
}();

size_t plain_length(std::string_view text) {
  size_t length = 0;
  while (length < text.size() && kIsPlain[static_cast<unsigned char>(text[length])]) ++length;
  return length;
}

// Appends the ASCII character `c`, which cannot stand for itself.
void append_escape(char c, SecureBuffer& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  switch (c) {
    case '"':
      return out.append("\\\"");
    case '\\':
      return out.append("\\\\");
    case '\n':
      return out.append("\\n");
    case '\r':
      return out.append("\\r");
    case '\t':
      return out.append("\\t");
    case '\b':
      return out.append("\\b");
    case '\f':
      return out.append("\\f");
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  const std::array<char, 6> escape = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
  out.append({escape.data(), escape.size()});
}

// Walks a tree without recursion and writes each value once; a container's frame remembers how far it is.
class Emitter {
 public:
  Emitter(const Layout& layout, SecureBuffer& out) : layout_(layout), out_(out) {}

  Result<void> run(const Value& root) {
    TRY(begin(root));
    while (!open_.empty()) {
      Frame& frame = open_.back();
      while (frame.next < frame.value->children.size() &&
             frame.value->children[frame.next].kind == ValueKind::kComment) {
        ++frame.next;  // format.md 6.2.9
      }
      if (frame.next == frame.value->children.size()) {
        end(frame);
        open_.pop_back();
        continue;
      }
      const Value& child = frame.value->children[frame.next++];
      if (frame.has_content) out_.append(layout_.multi_line ? "," : std::string_view(layout_.comma));
      frame.has_content = true;
      break_line(open_.size());
      if (frame.value->kind == ValueKind::kMapping) {
        append_string(child.key, out_);
        out_.append(layout_.colon);
      }
      TRY(begin(child));
    }
    return {};
  }

 private:
  struct Frame {
    const Value* value;
    size_t next = 0;
    bool has_content = false;
  };

  Result<void> begin(const Value& value) {
    if (value.kind == ValueKind::kScalar) return append_scalar({value.type, value.text}, out_, layout_.keep_types);
    if (value.kind == ValueKind::kComment) return {};
    if (open_.size() == kMaxDepth) {
      return fail(ErrorCode::kUnsupported, "nested deeper than {} levels", kMaxDepth)
          .exit(ExitStatus::kCannotSerialize);
    }
    out_.append(value.kind == ValueKind::kMapping ? "{" : "[");
    open_.push_back({&value});
    return {};
  }

  void end(const Frame& frame) {
    if (frame.has_content) break_line(open_.size() - 1);
    out_.append(frame.value->kind == ValueKind::kMapping ? "}" : "]");
  }

  void break_line(size_t depth) {
    if (!layout_.multi_line) return;
    out_.append(layout_.line_break);
    out_.append(layout_.indent);
    for (size_t i = 0; i < depth; ++i) out_.append(layout_.step);
  }

  const Layout& layout_;
  SecureBuffer& out_;
  std::vector<Frame> open_;
};

void append_quoted(std::string_view ascii, SecureBuffer& out) {
  out.append("\"");
  out.append(ascii);
  out.append("\"");
}

void append_base64(std::string_view bytes, SecureBuffer& out) {
  SecureBytes text(base64_length(bytes.size()));
  base64_encode(as_bytes(bytes), reinterpret_cast<char*>(text.expose_mutable().data()));
  append_quoted(text.expose_text(), out);
}

// Below 1e-6 and from 1e21 on with an exponent, whose digits are not padded (format.md 6.2.8).
NumberText json_number(double value) {
  const ShortestDecimal decimal = shortest_decimal(value);
  const bool has_exponent = value != 0 && (decimal.point <= -6 || decimal.point > 21);
  return has_exponent ? exponent_text(decimal, 1) : canonical_float_text(value);
}

Result<void> append_float(std::string_view canonical, bool keep_type, SecureBuffer& out) {
  const bool is_finite = canonical.find_first_of("0123456789") != std::string_view::npos;
  const std::optional<double> value = is_finite ? parse_decimal_literal(canonical) : std::nullopt;
  if (!value) {
    return fail(ErrorCode::kUnsupported, "JSON has no way to write the float {}", escape_for_message(canonical, 8))
        .hint("put it in quotes, or choose YAML")
        .exit(ExitStatus::kCannotSerialize);
  }
  const NumberText number = json_number(*value);
  out.append(number.view());
  if (keep_type && number.view().find_first_of(".e") == std::string_view::npos) out.append(".0");
  return {};
}

}  // namespace

void append_string(std::string_view text, SecureBuffer& out) {
  constexpr std::string_view kLineSeparator = "\xe2\x80\xa8";
  constexpr std::string_view kParagraphSeparator = "\xe2\x80\xa9";
  out.append("\"");
  while (!text.empty()) {
    const size_t plain = plain_length(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    size_t length = 1;
    if (static_cast<unsigned char>(text[0]) < 0x80) {
      append_escape(text[0], out);
    } else if (length = utf8_sequence_length(text); length == 0) {
      out.append("\\ufffd");
      length = 1;
    } else if (text.starts_with(kLineSeparator)) {
      out.append("\\u2028");
    } else if (text.starts_with(kParagraphSeparator)) {
      out.append("\\u2029");
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  out.append("\"");
}

Result<void> append_scalar(const TypedText& scalar, SecureBuffer& out, bool keep_type) {
  const std::string_view text = scalar.text;
  switch (scalar.type) {
    case ScalarType::kNull:
      out.append("null");
      break;
    case ScalarType::kBool:
      out.append(text == "True" || text == "true" ? "true" : "false");
      break;
    case ScalarType::kInt:
    case ScalarType::kUnsigned:
      out.append(text);
      break;
    case ScalarType::kFloat:
      return append_float(text, keep_type, out);
    case ScalarType::kTime:
      append_quoted(text, out);
      break;
    case ScalarType::kBytes:
      append_base64(text, out);
      break;
    case ScalarType::kString:
      append_string(text, out);
      break;
  }
  return {};
}

Result<void> append_value(const Value& value, const Layout& layout, SecureBuffer& out) {
  return Emitter(layout, out).run(value);
}

Result<std::string> indentation_step(const EmitStyle& style) {
  const int indent = style.indent.value_or(-1);
  if (indent < -1) {
    return fail(ErrorCode::kUsage, "an indentation of {} is not possible in JSON", indent)
        .hint("-1 means one tab for each level, 0 none, any other number that many spaces")
        .exit(ExitStatus::kCannotSerialize);
  }
  return indent == -1 ? std::string("\t") : std::string(static_cast<size_t>(indent), ' ');
}

Result<SecureBytes> emit_value(const Value& value, const EmitStyle& style) {
  Layout layout;
  layout.step = TRY(indentation_step(style));
  SecureBuffer out;
  TRY(append_value(value, layout, out));
  return out.take();
}

Result<SecureBytes> emit(const Value& tree, const EmitStyle& style) {
  if (tree.kind != ValueKind::kMapping) {
    return fail(ErrorCode::kUnsupported, "the top level of a JSON file must be an object")
        .exit(ExitStatus::kCannotSerialize);
  }
  Layout layout;
  layout.step = TRY(indentation_step(style));
  SecureBuffer out;
  // One large value, a binary file, should not be moved when the rest is written behind it.
  constexpr size_t kLarge = 1'000'000;
  for (const Value& child : tree.children) {
    if (child.text.size() >= kLarge) out.reserve(out.size() + child.text.size() + kLarge);
  }
  TRY(append_value(tree, layout, out));
  out.append("\n");
  return out.take();
}

}  // namespace sops::json
