// SPDX-License-Identifier: MPL-2.0
#include "cloud/aws/json.h"

#include <charconv>

#include "base/codec.h"
#include "formats/json/json.h"

namespace sops::aws {

namespace {

// The node at a path of names below the object `id`, kNoNode if there is none.
NodeId find(const Document& document, std::initializer_list<std::string_view> path) {
  NodeId id = 0;
  for (const std::string_view name : path) {
    if (id == kNoNode || document.node(id).kind != NodeKind::kMapping) return kNoNode;
    id = find_entry(document, id, name);
  }
  return id;
}

}  // namespace

void append_json_string(std::string_view text, SecureBuffer& out) { json::append_string(text, out); }

Result<Json> Json::parse(SecureBytes text) {
  Json json;
  json.text_ = std::move(text);
  auto scanned = json::scan_value(json.text_.expose_text());
  if (!scanned) {
    // The reader's message may quote the text.
    Failure failure = fail(ErrorCode::kMalformed, "this is no JSON");
    if (scanned.error().position) return std::move(failure).at(*scanned.error().position);
    return failure;
  }
  json.document_ = std::move(*scanned);
  if (json.document_.nodes.empty() || json.document_.node(0).kind != NodeKind::kMapping) {
    return fail(ErrorCode::kMalformed, "this is JSON, but no object");
  }
  return json;
}

std::optional<std::string_view> Json::text(std::initializer_list<std::string_view> path) const {
  const NodeId id = find(document_, path);
  if (id == kNoNode) return std::nullopt;
  const Node& node = document_.node(id);
  if (node.kind != NodeKind::kScalar || node.type != ScalarType::kString) return std::nullopt;
  return node.text;
}

std::optional<int64_t> Json::number(std::initializer_list<std::string_view> path) const {
  const NodeId id = find(document_, path);
  if (id == kNoNode) return std::nullopt;
  const Node& node = document_.node(id);
  if (node.kind != NodeKind::kScalar || (node.type != ScalarType::kInt && node.type != ScalarType::kFloat)) {
    return std::nullopt;
  }
  // 1.7e12 is legal for a number of milliseconds.
  const std::string_view text = document_.slice(node.span);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  constexpr double kLimit = 9e18;
  if (value >= kLimit) return static_cast<int64_t>(kLimit);
  if (value <= -kLimit) return -static_cast<int64_t>(kLimit);
  return static_cast<int64_t>(value);
}

Result<SecureBytes> Json::blob(std::string_view name) const {
  const auto text_b64 = text(name);
  if (!text_b64) return fail(ErrorCode::kMalformed, "the answer has no {}", name);
  SecureBytes bytes(base64_decoded_bound(text_b64->size()));
  const auto size = base64_decode(*text_b64, bytes.expose_mutable().data());
  if (!size) return fail(ErrorCode::kMalformed, "{} of the answer is no base64", name);
  bytes.shrink(*size);
  return bytes;
}

SecureBytes Json::with(const std::map<std::string, std::string_view>& strings) const {
  std::map<uint32_t, std::pair<Span, SecureBytes>> edits;  // by position; several additions to an object are joined
  for (const auto& [path, value] : strings) {
    const size_t dot = path.find('.');
    const std::string_view name = std::string_view(path).substr(dot == std::string::npos ? 0 : dot + 1);
    const NodeId object =
        dot == std::string::npos ? 0 : find_entry(document_, 0, std::string_view(path).substr(0, dot));
    SOPS_CHECK(object != kNoNode && document_.node(object).kind == NodeKind::kMapping, "promised by the caller");
    const NodeId id = find_entry(document_, object, name);
    SecureBuffer text;
    if (id != kNoNode) {
      json::append_string(value, text);
      const Span span = document_.node(id).span;
      edits[span.begin] = {span, text.take()};
      continue;
    }
    const uint32_t end = document_.node(object).span.end - 1;  // the brace
    const auto earlier = edits.find(end);
    if (earlier != edits.end()) text.append(earlier->second.second.expose_text());
    if (earlier != edits.end() || document_.node(object).next > object + 1) text.append(",");
    json::append_string(name, text);
    text.append(":");
    json::append_string(value, text);
    edits[end] = {Span{end, end}, text.take()};
  }
  SecureBuffer out;
  const std::string_view whole = text_.expose_text();
  uint32_t done = 0;
  for (const auto& [begin, edit] : edits) {
    out.append(whole.substr(done, begin - done));
    out.append(edit.second.expose_text());
    done = edit.first.end;
  }
  out.append(whole.substr(done));
  return out.take();
}

}  // namespace sops::aws
