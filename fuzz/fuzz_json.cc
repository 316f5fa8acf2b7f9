// SPDX-License-Identifier: MPL-2.0
//
// The JSON format on any text: the tree is sound; metadata put in and taken out leaves the text as it was; what is
// emitted scans to the same values.
#include <string>

#include "formats/json/json.h"
#include "fuzz/fuzz.h"
#include "tree/edit.h"

namespace {

using namespace sops;

void check_tree(const Document& document) {
  FUZZ_CHECK(document.node(0).next == document.nodes.size());
  for (NodeId id = 0; id < document.nodes.size(); ++id) {
    const Node& node = document.node(id);
    FUZZ_CHECK(node.span.begin < node.span.end && node.span.end <= document.text.size());
    FUZZ_CHECK(node.next > id && (node.is_container() || node.next == id + 1));
    if (id == 0) continue;
    const Node& parent = document.node(node.parent);
    FUZZ_CHECK(node.parent < id && node.next <= parent.next);
    FUZZ_CHECK(parent.span.begin < node.span.begin && node.span.end < parent.span.end);
    FUZZ_CHECK(node.key_span.end <= node.span.begin);
    FUZZ_CHECK(is_utf8(node.text) && is_utf8(node.key));
  }
}

void check_same(const Document& a, const Document& b) {
  FUZZ_CHECK(a.nodes.size() == b.nodes.size());
  for (NodeId id = 0; id < a.nodes.size(); ++id) {
    FUZZ_CHECK(a.node(id).kind == b.node(id).kind && a.node(id).key == b.node(id).key);
    if (a.node(id).type != ScalarType::kFloat) {  // 1.0 is emitted as 1
      FUZZ_CHECK(a.node(id).type == b.node(id).type && a.node(id).text == b.node(id).text);
    }
  }
}

void check_metadata(const Document& plain) {
  const auto reserve = json::type.reserve_metadata(plain, {});
  FUZZ_CHECK(reserve.has_value());
  const auto reserved = reserve->apply(plain.text);
  FUZZ_CHECK(reserved.has_value());
  const auto with_room = json::type.scan(reserved->expose_text(), ScanMode::kPlain);
  FUZZ_CHECK(with_room.has_value());
  FUZZ_CHECK(with_room->branches[0].metadata == plain.nodes.size());

  Value metadata = Value::mapping();
  metadata.add("age", Value::sequence()).add(Value::mapping()).add("enc", Value::string("x\n"));
  metadata.add("version", Value::string("3"));
  const auto write = json::type.write_metadata(*with_room, metadata, Value::mapping(), {});
  FUZZ_CHECK(write.has_value());
  const auto written = write->apply(with_room->text);
  FUZZ_CHECK(written.has_value());
  const auto encrypted = json::type.scan(written->expose_text(), ScanMode::kEncrypted);
  FUZZ_CHECK(encrypted.has_value() && json::type.read_metadata(*encrypted).has_value());

  for (const Document* document : {&*with_room, &*encrypted}) {
    const auto remove = json::type.remove_metadata(*document);
    FUZZ_CHECK(remove.has_value());
    const auto back = remove->apply(document->text);
    FUZZ_CHECK(back.has_value() && back->expose_text() == plain.text);
  }
}

void check_emit(const Document& document) {
  const auto tree = to_value(document, 0);
  FUZZ_CHECK(tree.has_value());
  const auto text = json::type.emit(*tree, {.indent = 0});
  FUZZ_CHECK(text.has_value());
  const auto again = json::type.scan(text->expose_text(), ScanMode::kPlain);
  FUZZ_CHECK(again.has_value());
  check_same(document, *again);
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  const std::string_view text = as_text(input);
  const auto plain = json::type.scan(text, ScanMode::kPlain);
  const auto encrypted = json::type.scan(text, ScanMode::kEncrypted);
  FUZZ_CHECK(!plain || encrypted);
  if (plain) {
    check_tree(*plain);
    check_emit(*plain);
    if (plain->branches[0].metadata == kNoNode) check_metadata(*plain);
  }
  if (encrypted) {
    check_tree(*encrypted);
    (void)json::type.read_metadata(*encrypted);
    const auto remove = json::type.remove_metadata(*encrypted);
    FUZZ_CHECK(remove.has_value());
    const auto back = remove->apply(text);
    FUZZ_CHECK(back.has_value());
    FUZZ_CHECK(json::type.scan(back->expose_text(), ScanMode::kEncrypted).has_value());
  }
}
