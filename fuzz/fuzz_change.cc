// SPDX-License-Identifier: MPL-2.0
//
// One change of any text, in both formats: what comes out reads as the old tree with that change, which set_value() and
// unset_value() prove for themselves; here it is only asked whether they say so rightly. The first bytes choose the
// change:
//
//   byte 0   bit 0: JSON, else YAML; bit 1: unset, else set; the rest: which value
//   byte 1   how many of the nodes to count to the place
//   byte 2   what to add to the path: nothing, a key, a position
#include "core/change.h"
#include "fuzz/fuzz.h"

namespace {

using namespace sops;

// The path to the node `wanted` of the first branch, in the steps that --extract takes.
TreePath path_to(const Document& document, NodeId wanted) {
  TreePath path;
  for (NodeId id = wanted; document.node(id).parent != kNoNode; id = document.node(id).parent) {
    const NodeId parent = document.node(id).parent;
    if (document.node(parent).kind == NodeKind::kMapping) {
      path.insert(path.begin(), std::string(document.node(id).key));
      continue;
    }
    int64_t index = 0;
    for (NodeId other = parent + 1; other < id; other = document.node(other).next) {
      if (!document.node(other).has(kFlagUnseen)) ++index;
    }
    path.insert(path.begin(), index);
  }
  return path;
}

Value pick_value(unsigned number) {
  Value list = Value::sequence();
  list.add(Value::string("x"));
  list.add(Value::string("one\ntwo\n\n"));
  Value object = Value::mapping();
  object.add("k: #", Value::scalar(ScalarType::kFloat, "12"));
  object.add("l", list);
  const std::vector<Value> values = {Value::string("a: b"),
                                     Value::scalar(ScalarType::kFloat, "5"),
                                     object,
                                     list,
                                     Value::string("one\ntwo"),
                                     Value::mapping(),
                                     Value::string("one\n"),
                                     Value::scalar(ScalarType::kNull, "")};
  return values[number % values.size()];
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  if (input.size() < 3) return;
  const FormatType& format = *find_format(input[0] & 1 ? "json" : "yaml");
  const bool is_set = (input[0] & 2) == 0;
  const std::string_view text = as_text(input.subspan(3));
  const auto document = format.scan(text, ScanMode::kEncrypted);
  if (!document || document->nodes.empty()) return;
  const NodeId end = document->node(document->branches.front().root).next;
  TreePath path =
      path_to(*document, document->branches.front().root + input[1] % (end - document->branches.front().root));
  if (input[2] % 3 == 1) path.emplace_back("new");
  if (input[2] % 3 == 2) path.emplace_back(int64_t{input[2]});
  const Value value = pick_value(input[0] >> 2);
  const auto changed = is_set ? set_value(format, text, path, value, {}) : unset_value(format, text, path, {});
  if (!changed) return;
  const auto after = format.scan(changed->text.expose_text(), ScanMode::kEncrypted);
  FUZZ_CHECK(after.has_value());
  FUZZ_CHECK(after->branches.size() == document->branches.size());
  for (size_t i = 1; i < after->branches.size(); ++i) {
    const auto old_tree = to_value(*document, document->branches[i].root);
    const auto new_tree = to_value(*after, after->branches[i].root);
    FUZZ_CHECK(!old_tree || (new_tree && same_tree(*old_tree, *new_tree, Comments::kIgnore)));
  }
  for (const size_t position : changed->whole_floats) FUZZ_CHECK(position < changed->text.size());
}
