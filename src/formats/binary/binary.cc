// SPDX-License-Identifier: MPL-2.0
//
// Binary: any file at all. Plain it is one value without structure; encrypted it is a JSON object with the value under
// `data` (format.md 6C), so everything about the encrypted form is JSON's.
#include "formats/format.h"
#include "formats/json/json.h"

namespace sops::binary {
namespace {

constexpr std::string_view kDataKey = "data";
constexpr std::string_view kHint = "name another format with --output-type, for example --output-type json";

// Two nodes, the mapping and its entry `data`, and both are the whole text.
Result<Document> scan_plain(std::string_view text) {
  if (text.size() > kMaxDocumentSize) return fail(ErrorCode::kUnsupported, "the file is larger than 4 GiB");
  const Span whole = {0, static_cast<uint32_t>(text.size())};
  Document document;
  document.text = text;
  document.nodes = {
      {.kind = NodeKind::kMapping, .style = NodeStyle::kRaw, .next = 2, .span = whole},
      {.kind = NodeKind::kScalar,
       .style = NodeStyle::kRaw,
       .next = 2,
       .parent = 0,
       .span = whole,
       .key = kDataKey,
       .text = text},
  };
  document.branches = {{.root = 0, .text = whole}};
  return document;
}

Result<Document> scan(std::string_view text, ScanMode mode) {
  return mode == ScanMode::kPlain ? scan_plain(text) : json::type.scan(text, mode);
}

Result<Value> read_metadata(const Document& document) { return json::type.read_metadata(document); }

Result<EditList> write_metadata(const Document& document, const Value& metadata, const Value& first_only,
                                const EmitStyle& style) {
  return json::type.write_metadata(document, metadata, first_only, style);
}

Result<EditList> replace_node(const Document& document, NodeId id, const Value& value, const EmitStyle& style) {
  return json::type.replace_node(document, id, value, style);
}

Result<EditList> append_child(const Document& document, NodeId container, const Value& child, const EmitStyle& style) {
  return json::type.append_child(document, container, child, style);
}

Result<EditList> remove_child(const Document& document, NodeId id) { return json::type.remove_child(document, id); }

Span place(const Document& document, NodeId id, std::string_view ciphertext, SecureBuffer& out) {
  return json::type.place(document, id, ciphertext, out);
}

Result<SecureBytes> wrap(std::string_view ciphertext, const Value& metadata, const EmitStyle& style) {
  Value tree = Value::mapping();
  tree.add(kDataKey, Value::string(ciphertext));
  tree.add("sops", metadata);
  return json::type.emit(tree, style);
}

// format.md 6.3.2: entries next to `data` are ignored.
Result<SecureBytes> emit(const Value& tree, const EmitStyle&) {
  const Value* data = tree.kind == ValueKind::kMapping ? tree.find(kDataKey) : nullptr;
  if (data == nullptr) {
    return fail(ErrorCode::kUnsupported, "a binary file has one entry 'data', and there is none here")
        .hint(std::string(kHint))
        .exit(ExitStatus::kCannotSerialize);
  }
  if (data->kind != ValueKind::kScalar || (data->type != ScalarType::kString && data->type != ScalarType::kBytes)) {
    return fail(ErrorCode::kUnsupported, "the entry 'data' of a binary file must be a string")
        .hint(std::string(kHint))
        .exit(ExitStatus::kCannotSerialize);
  }
  return SecureBytes::copy_of(data->text);
}

Result<SecureBytes> emit_value(const Value&, const EmitStyle&) {
  return fail(ErrorCode::kUnsupported, "a binary file has no values to extract but [\"data\"]")
      .hint(std::string(kHint))
      .exit(ExitStatus::kCannotSerialize);
}

}  // namespace

extern const FormatType type = {
    .id = "binary",
    .summary = "any other file, encrypted as a whole",
    .selects_values = false,
    .wraps = true,
    .scan = scan,
    .read_metadata = read_metadata,
    .write_metadata = write_metadata,
    .place = place,
    .replace_node = replace_node,
    .append_child = append_child,
    .remove_child = remove_child,
    .wrap = wrap,
    .emit = emit,
    .emit_value = emit_value,
};

}  // namespace sops::binary
