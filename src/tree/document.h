// SPDX-License-Identifier: MPL-2.0
//
// The document model: a text that is never changed, plus a tree of places in it (architecture.md 2). Format modules
// make Documents; core walks them and turns them into edits. Knows no file format and no cryptography. const members
// may be called from several threads.
//
// The tree is one array in pre-order, in SOPS's order of entries, items and comments. The children of `c`, a container:
//
//   for (NodeId id = c + 1; id < doc.node(c).next; id = doc.node(id).next) …
//
//   id  kind       key    text     next                a:
//   0   mapping                    5                     b: 1   # inline comments stand before
//   1   mapping    a               4                     c: x   # their entry in SOPS's order
//   2   scalar     b      1        3
//   3   scalar     c      x        4
//   4   …
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secure_bytes.h"

namespace sops {

/// A piece [begin, end) of a document's text, in bytes. Documents are at most kMaxDocumentSize long.
struct Span {
  uint32_t begin = 0;
  uint32_t end = 0;

  uint32_t size() const { return end - begin; }
  bool operator==(const Span&) const = default;
};

inline constexpr size_t kMaxDocumentSize = 0xfffffff0;

/// Deepest nesting of containers that any format accepts (in-place.md 6).
inline constexpr size_t kMaxDepth = 10000;

using NodeId = uint32_t;
inline constexpr NodeId kNoNode = 0xffffffff;

enum class NodeKind : uint8_t { kMapping, kSequence, kScalar, kAlias, kComment };

/// The type SOPS gives a scalar (format.md 1.4). kUnsigned is a YAML integer of 2^63 … 2^64-1, which SOPS loads but
/// refuses to walk. kBytes only comes from old ciphertexts (format.md 2.19).
enum class ScalarType : uint8_t { kNull, kBool, kInt, kFloat, kTime, kString, kUnsigned, kBytes };

/// How a node is written. kAbsent: a YAML null that has no text at all.
enum class NodeStyle : uint8_t {
  kAbsent,
  kPlain,
  kSingleQuoted,
  kDoubleQuoted,
  kLiteral,
  kFolded,
  kBlock,
  kFlow,
  kRaw
};

/// Bits of Node::flags.
enum NodeFlag : uint8_t {
  kFlagInline = 1,        // comment on the line of a value
  kFlagInFlow = 2,        // inside a YAML flow collection
  kFlagTypedTag = 4,      // an explicit tag gives the scalar its type (!!int "5"); SOPS cannot read it on a ciphertext
  kFlagKeyNotString = 8,  // the entry's key is not a string; loading is fine, walking is refused (yaml.md 4.2)
  kFlagUnseen = 16,       // a comment that SOPS never sees (yaml.md 1.4): encrypted by us, invisible to comment rules
  kFlagAnchored = 32,     // carries an anchor
  kFlagAliasKey = 64,     // the entry's key is an alias (in-place.md 2)
  kFlagOdd = 128,         // accepted on decryption only; SOPS's first-document checks would refuse it (yaml.md 4.1)
};

/// One place of the tree.
struct Node {
  NodeKind kind = NodeKind::kScalar;
  ScalarType type = ScalarType::kString;
  NodeStyle style = NodeStyle::kPlain;
  uint8_t flags = 0;
  NodeId next = 0;  // the first node after this one's subtree
  NodeId parent = kNoNode;
  NodeId target = kNoNode;  // of an alias: the anchored node
  Span span;                // what a replacement of this node replaces: properties, content, block scalar header …
  uint32_t content = 0;     // where the content starts, behind anchor and tag; span.begin if it has none
  Span key_span;            // of an entry of a mapping, else empty
  std::string_view key;     // decoded; empty for items, comments and roots
  std::string_view
      text;  // scalar: SOPS's canonical plaintext (format.md 2.10); comment: text behind the marker; alias: name

  bool has(NodeFlag flag) const { return (flags & flag) != 0; }
  bool is_container() const { return kind == NodeKind::kMapping || kind == NodeKind::kSequence; }
};

/// Where a branch keeps its SOPS metadata, kNoNode if it has none.
struct Branch {
  NodeId root = kNoNode;      // always a mapping, perhaps empty
  NodeId metadata = kNoNode;  // the entry `sops` of the root
  Span text;                  // the document's part of the text, markers excluded
};

/// A scanned file: text, tree and the storage of what had to be decoded. Owns `arena`, borrows `text`: the text must
/// outlive the document. A YAML stream has several branches (documents); every other format has one.
struct Document {
  std::string_view text;
  std::vector<Node> nodes;
  std::vector<Branch> branches;
  std::vector<std::string> warnings;  // for stderr; never hold a value
  SecureArena arena;                  // decoded scalars and keys that are no slice of `text`

  const Node& node(NodeId id) const { return nodes[id]; }
  std::string_view slice(Span span) const { return text.substr(span.begin, span.size()); }
};

/// Line and column (from 1, in characters) of a byte offset. Costs a pass over the text: for messages only.
TextPosition position_at(std::string_view text, size_t offset);

/// First entry `key` of the mapping `container`, kNoNode if there is none (format.md 1.3: the first of equal keys).
NodeId find_entry(const Document& document, NodeId container, std::string_view key);

}  // namespace sops
