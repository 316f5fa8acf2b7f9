// SPDX-License-Identifier: MPL-2.0
//
// The folder's record: reading is in scan.cc, changing text in write.cc, new text in emit.cc.
#include "formats/yaml/yaml.h"

#include <array>

#include "formats/yaml/change.h"
#include "formats/yaml/emit.h"
#include "formats/yaml/scan.h"
#include "formats/yaml/write.h"

namespace sops::yaml {

namespace {
constexpr std::array<std::string_view, 2> kSuffixes = {".yaml", ".yml"};
}

const FormatType type = {
    .id = "yaml",
    .summary = "YAML: values and comments, anchors, several documents; keeps the layout",
    .suffixes = kSuffixes,
    .scan = scan,
    .read_metadata = read_metadata,
    .reserve_metadata = reserve_metadata,
    .write_metadata = write_metadata,
    .remove_metadata = remove_metadata,
    .place = place,
    .spell = spell,
    .expand_alias = expand_alias,
    .replace_node = replace_node,
    .append_child = append_child,
    .remove_child = remove_child,
    .emit = emit,
    .emit_value = emit_value,
    .decode_text = decode_text,
    .encode_text = encode_text,
};

}  // namespace sops::yaml
