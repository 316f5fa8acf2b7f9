// SPDX-License-Identifier: MPL-2.0
//
// The sops block of a JSON file: never a crash, and what is read and written again reads the same.
#include "core/metadata.h"
#include "formats/format.h"
#include "fuzz/fuzz.h"

namespace {

using namespace sops;

std::optional<Metadata> read(std::string_view text) {
  const auto document = find_format("json")->scan(text, ScanMode::kEncrypted);
  if (!document) return std::nullopt;
  const auto tree = find_format("json")->read_metadata(*document);
  if (!tree) return std::nullopt;
  auto metadata = parse_metadata(*tree);
  if (!metadata) return std::nullopt;
  return std::move(*metadata);
}

}  // namespace

void fuzz(std::span<const uint8_t> input) {
  const std::string text = "{\"sops\": " + std::string(as_text(input)) + "}";
  const auto metadata = read(text);
  if (!metadata) return;
  (void)check_version(*metadata).has_value();
  (void)normalized_lastmodified(*metadata);

  SecureArena arena;
  Value root = Value::mapping();
  root.add("sops", metadata_tree(*metadata, arena));
  const auto written = find_format("json")->emit(root, {});
  FUZZ_CHECK(written.has_value());
  const auto again = read(written->expose_text());
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->lastmodified == metadata->lastmodified && again->shamir_threshold == metadata->shamir_threshold);
  FUZZ_CHECK(again->mac_only_encrypted == metadata->mac_only_encrypted);
  FUZZ_CHECK(again->groups.size() == metadata->groups.size());
  for (size_t i = 0; i < again->groups.size(); ++i) FUZZ_CHECK(again->groups[i].size() == metadata->groups[i].size());
}
