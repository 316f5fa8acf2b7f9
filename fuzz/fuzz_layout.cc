// SPDX-License-Identifier: MPL-2.0
//
// Layout hints: decoding never crashes, and a forged or old layout changes no value (architecture.md 4).
#include "core/layout.h"

#include <string>

#include "core/decrypt.h"
#include "fuzz/fuzz.h"

namespace {

using namespace sops;

// A file as encryption leaves it; the tags are base64 of "abcd…", so that hints of the input can be bound to them.
constexpr std::string_view kText =
    "a: ENC[AES256_GCM,data:MQ==,iv:eA==,tag:YWJjZGVmZ2hpamtsbW5vcA==,type:int]\n"
    "b:\n"
    "  - ENC[AES256_GCM,data:MQ==,iv:eA==,tag:YWJjZHh4eHh4eHh4eHh4eA==,type:str]\n"
    "  - c: ENC[AES256_GCM,data:MQ==,iv:eA==,tag:YWJjZQ==,type:bool] # d\n"
    "sops:\n"
    "    version: 3.13.3\n";

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  const std::string_view layout = as_text(input);
  if (const auto hints = decode_layout(layout)) {
    size_t total = 0;
    for (const DecodedHint& hint : *hints) total += hint.original.size();
    FUZZ_CHECK(total <= layout.size());
  }

  static const FormatType& yaml = *find_format("yaml");
  const auto document = yaml.scan(kText, ScanMode::kEncrypted);
  const auto selector = Selector::compile({}, Selector::Strictness::kStrict);
  const auto plan = walk(*document, *selector, ExitStatus::kGeneric);
  std::vector<LeafValue> values;
  for (const Leaf& leaf : plan->leaves) {
    const std::string_view text = document->node(leaf.node).text;
    if (leaf.is_comment) {
      values.push_back({.value = {ScalarType::kString, text}, .is_comment = true});
    } else if (text.ends_with("int]")) {
      values.push_back({.value = {ScalarType::kInt, "7"}, .was_encrypted = true});
    } else if (text.ends_with("bool]")) {
      values.push_back({.value = {ScalarType::kBool, "True"}, .was_encrypted = true});
    } else {
      values.push_back({.value = {ScalarType::kString, "x y"}, .was_encrypted = true});
    }
  }
  bool hints_fit = true;
  const auto plain = render_plain(yaml, *document, *plan, values, layout, hints_fit);
  FUZZ_CHECK(plain.has_value());
  const auto scanned = yaml.scan(plain->expose_text(), ScanMode::kPlain);
  FUZZ_CHECK(scanned.has_value());
  const auto found = walk(*scanned, *selector, ExitStatus::kGeneric);
  FUZZ_CHECK(found.has_value() && found->leaves.size() == values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const Node& node = scanned->node(found->leaves[i].node);
    FUZZ_CHECK(node.text == values[i].value.text);
    FUZZ_CHECK(values[i].is_comment || node.type == values[i].value.type);
  }
}
