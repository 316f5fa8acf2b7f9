// SPDX-License-Identifier: MPL-2.0
//
// From tokens to the tree. Three steps, each without recursion, because the input controls the depth:
//
//   1. Parser::run      The grammar of YAML 1.1 as libyaml and SOPS's library know it, one state for each open
//                       container. Makes the nodes in source order, and hands comments to them on the way
//                       (yaml.md 1.3.5, 1.3.6): a node with comments has a NodeComments record.
//   2. Parser::check_…  The checks that need a whole mapping or branch: repeated keys, merge values, expansion.
//   3. weave (weave.h)  Copies the nodes into their final order with the comments between them. Skipped without
//                       comments.
#include "formats/yaml/scan.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <utility>

#include "base/codec.h"
#include "formats/yaml/block_scalar.h"
#include "formats/yaml/comments.h"
#include "formats/yaml/resolve.h"
#include "formats/yaml/tokens.h"
#include "formats/yaml/weave.h"

namespace sops::yaml {
namespace {

constexpr size_t kMaxWarnings = 20;
constexpr size_t kSmallMapping = 8;  // keys that are compared pair by pair

// What a property list says.
struct Properties {
  bool any = false;
  bool has_anchor = false;
  bool has_tag = false;
  uint32_t begin = 0;
  std::string_view anchor;
  TagKind tag = TagKind::kNone;
};

// The key that was read and waits for its value.
struct PendingKey {
  std::string_view text;
  Span span;
  uint8_t flags = 0;
  bool is_merge = false;
  LineList head, line, foot;
};

// What an anchor stands for: a node, or (the key of an entry, a null document) a scalar that has no node.
struct AnchorTarget {
  NodeId node = kNoNode;
  ScalarType type = ScalarType::kNull;
  std::string_view text;
};

enum class State : uint8_t {
  kBlockSequence,
  kIndentlessSequence,
  kBlockMappingKey,
  kBlockMappingValue,
  kFlowSequence,
  kFlowPairKey,
  kFlowPairValue,
  kFlowPairEnd,
  kFlowMappingKey,
  kFlowMappingValue,
  kFlowMappingEmptyValue,
};

// A container that is being read. `state` is what comes next in it.
struct Frame {
  State state = State::kBlockSequence;
  NodeId node = kNoNode;
  NodeId last_entry = kNoNode;  // of a mapping
  bool first = true;            // of a flow collection: no entry yet
  bool merge_value = false;     // of a mapping: the entry being read is a merge
  PendingKey key;               // of a mapping: waits for its value
};

// Whether a container is a block mapping, for the moves of comments.
bool is_block(const Node& node) { return node.style == NodeStyle::kBlock; }

bool is_directive(TokenType type) { return type == TokenType::kVersionDirective || type == TokenType::kTagDirective; }

bool is_document_token(TokenType type) {
  return type == TokenType::kStreamEnd || type == TokenType::kDocumentStart || type == TokenType::kDocumentEnd ||
         is_directive(type);
}

// yaml.md 4.4 a, l: version 1.1 only, each number of one or two digits.
bool is_accepted_version(std::string_view version) {
  const size_t point = version.find('.');
  if (point == std::string_view::npos) return false;
  const auto is_one = [](std::string_view number) { return number == "1" || number == "01"; };
  return is_one(version.substr(0, point)) && is_one(version.substr(point + 1));
}

// yaml.md 4.4 g: whether a double-quoted text holds the escape `\/`, which SOPS does not know.
bool has_slash_escape(std::string_view source) {
  for (size_t at = source.find('\\'); at != std::string_view::npos && at + 1 < source.size();
       at = source.find('\\', at + 2)) {
    if (source[at + 1] == '/') return true;
  }
  return false;
}

// Builds the raw tree: entries and items only, in source order.
class Parser {
 public:
  Parser(std::string_view text, ScanMode mode, const CondensedText* condensed, Document& document)
      : text_(text),
        mode_(mode),
        document_(document),
        nodes_(document.nodes),
        tokens_(text, document.arena, condensed) {}

  Result<void> run();

  std::vector<CommentLine>& lines() { return tokens_.lines(); }
  const CommentTable& comments() const { return comments_; }

 private:
  // What parse_node() reads a node for.
  enum class Role : uint8_t { kRoot, kKey, kValue, kItem };
  enum Allowed : uint8_t { kFlowOnly, kBlock, kBlockOrIndentless };

  // Tokens and comments.
  Result<TokenType> peek();
  void consume();
  void absorb(const Token& token);
  void append(LineList& list, LineId first, LineId last);
  LineList take(LineList& list) { return std::exchange(list, {}); }
  void take_comments(NodeId id);

  // Grammar.
  Result<void> parse_document(bool is_first, bool& more);
  Result<void> parse_directives();
  Result<void> parse_containers();
  Result<void> step();
  Result<TokenType> next_flow_element(TokenType end, const char* otherwise);
  Result<void> parse_flow_value(TokenType end);
  Result<void> parse_node(Role role, Allowed allowed);
  Result<void> parse_properties(Properties& properties);
  Result<void> parse_scalar(Role role, const Properties& properties);
  Result<void> parse_lines(bool is_item);
  Result<void> parse_alias(Role role);
  Result<void> parse_absent(Role role, const Properties& properties);
  Result<void> open_container(Role role, NodeKind kind, NodeStyle style, State state, const Properties& properties);
  Result<void> close_container(bool with_comments);
  Result<void> finish_value();
  void finish_root_comments();

  // Tree.
  NodeId add_node(Role role, NodeKind kind);
  Result<void> set_key(std::string_view text, Span span, uint8_t flags, bool is_merge);
  Result<void> decode(const Properties& properties, bool is_plain, std::string_view text, Span span, Node& out);
  Result<TagKind> resolve_tag(const Token& token);
  void define_anchor(const Properties& properties, AnchorTarget target);
  Result<void> make_null_root(Span span, NodeStyle style, const Properties& properties);

  // Checks of a whole container or branch.
  Result<void> check_keys(NodeId mapping);
  Result<void> check_merge(NodeId entry);
  Result<void> check_expansion(const Branch& branch);
  bool is_strict() const { return mode_ == ScanMode::kPlain || document_.branches.size() <= 1; }
  Failure malformed(size_t offset, std::string_view what) const {
    return fail(ErrorCode::kMalformed, "{}", what).at(position_at(text_, offset));
  }
  Failure collection_key(size_t offset) const {
    Failure failure = malformed(offset, "a list or mapping cannot be a key");
    // yaml.md 4.2: in a later document SOPS refuses it only when it walks the tree.
    return is_strict() ? std::move(failure) : std::move(failure).exit(ExitStatus::kCannotDecryptTree);
  }
  void warn(size_t offset, std::string_view what);

  Frame& top() { return frames_.back(); }
  bool in_flow() const { return !frames_.empty() && nodes_[frames_.back().node].style == NodeStyle::kFlow; }
  int64_t block_column() const { return levels_.empty() ? -1 : static_cast<int64_t>(levels_.back()); }

  std::string_view text_;
  ScanMode mode_;
  Document& document_;
  std::vector<Node>& nodes_;
  CommentedTokens tokens_;
  bool absorbed_ = false;        // the front token was handed its comments
  bool after_entry_ = false;     // the front token follows a `-` directly
  LineList stem_;                // H as it was at that `-`
  LineList head_, line_, foot_;  // pending texts H, L, F
  std::vector<Frame> frames_;
  std::vector<uint32_t> levels_;  // columns of the open block collections
  CommentTable comments_;
  std::map<std::string_view, AnchorTarget> anchors_;
  std::map<std::string_view, std::string_view> handles_;
  std::vector<std::pair<uint64_t, NodeId>> hashes_;  // scratch of check_keys
  bool branch_has_aliases_ = false;
  bool version_seen_ = false;
  uint32_t last_end_ = 0;  // end of the last token that was consumed
};

// ---- tokens and comments

Result<TokenType> Parser::peek() {
  if (!absorbed_) {
    TRY(tokens_.fill());
    absorb(tokens_.front());
    absorbed_ = true;
  }
  return tokens_.front().type;
}

void Parser::consume() {
  const Token& token = tokens_.front();
  if (!token.is_virtual && token.span.size() > 0) last_end_ = token.span.end;
  after_entry_ = token.type == TokenType::kBlockEntry;
  if (after_entry_) stem_ = head_;
  if (token.type == TokenType::kBlockSequenceStart || token.type == TokenType::kBlockMappingStart)
    levels_.push_back(token.column);
  if (token.type == TokenType::kBlockEnd && !levels_.empty()) levels_.pop_back();
  tokens_.pop();
  absorbed_ = false;
}

// yaml.md 1.3.5 step 1.
void Parser::absorb(const Token& token) {
  while (const CommentBlock* block = tokens_.pending()) {
    if (block->anchor > token.position) break;
    if (block->kind == CommentKind::kHead && token.type == TokenType::kBlockEnd) break;
    LineList& list = block->kind == CommentKind::kHead ? head_ : block->kind == CommentKind::kLine ? line_ : foot_;
    append(list, block->first, block->last);
    tokens_.pop_pending();
  }
}

void Parser::append(LineList& list, LineId first, LineId last) {
  if (list.empty()) {
    list = {first, last};
  } else {
    lines()[list.last].next = first;
    list.last = last;
  }
}

// What is pending becomes the comments of a node with text of its own (yaml.md 1.3.5 step 2).
void Parser::take_comments(NodeId id) {
  if (head_.empty() && line_.empty() && foot_.empty()) return;
  NodeComments& comments = comments_.of(id);
  comments.head = take(head_);
  comments.line = take(line_);
  comments.foot = take(foot_);
}

// ---- grammar

Result<void> Parser::run() {
  TRY(peek());
  consume();  // the stream's start
  bool more = true;
  for (bool is_first = true; more; is_first = false) TRY(parse_document(is_first, more));
  return {};
}

// `%` lines before a document; they are forgotten at its end (yaml.md 4.4 m).
Result<void> Parser::parse_directives() {
  TokenType type = TRY(peek());
  while (is_directive(type)) {
    const Token& token = tokens_.front();
    if (token.type == TokenType::kVersionDirective) {
      if (version_seen_) return malformed(token.span.begin, "second %YAML directive for one document");
      if (!is_accepted_version(token.text)) {
        return fail(ErrorCode::kMalformed, "YAML version other than 1.1")
            .hint("SOPS refuses such a file; remove the %YAML line")
            .at(position_at(text_, token.span.begin));
      }
      version_seen_ = true;
    } else if (!handles_.emplace(token.text, token.tail).second) {
      return malformed(token.span.begin, "second %TAG directive for one handle");
    }
    consume();
    type = TRY(peek());
  }
  return {};
}

Result<void> Parser::parse_document(bool is_first, bool& more) {
  version_seen_ = false;
  handles_.clear();
  branch_has_aliases_ = false;

  // What stands between documents.
  TokenType type = TRY(peek());
  while (!is_first && type == TokenType::kDocumentEnd) {
    consume();
    type = TRY(peek());
  }
  more = type != TokenType::kStreamEnd;
  if (!more) return {};
  const bool is_explicit = !is_first || is_directive(type) || type == TokenType::kDocumentStart;
  uint32_t text_begin = is_first && text_.starts_with("\xEF\xBB\xBF") ? 3 : last_end_;
  if (is_explicit) {
    TRY(parse_directives());
    const TokenType start = TRY(peek());
    if (start != TokenType::kDocumentStart) {
      return malformed(tokens_.front().span.begin, "expected '---' before the next document");
    }
    consume();
    text_begin = last_end_;
  }

  document_.branches.push_back({.root = static_cast<NodeId>(nodes_.size()), .text = {text_begin, text_begin}});
  comments_.branches.emplace_back();
  type = TRY(peek());
  if (!is_explicit) {
    // yaml.md 1.3.5: all before the last empty line of H becomes the document's head.
    for (LineId line = head_.first; line != kNoLine; line = lines()[line].next) {
      if (lines()[line].blank_after) comments_.branches.back().head = {head_.first, line};
    }
    LineList& split = comments_.branches.back().head;
    if (!split.empty()) {
      head_.first = lines()[split.last].next;
      lines()[split.last].next = kNoLine;
      if (head_.first == kNoLine) head_.clear();
    }
  }
  if (is_explicit && is_document_token(type)) {
    TRY(make_null_root({last_end_, last_end_}, NodeStyle::kAbsent, {}));
  } else {
    TRY(parse_node(Role::kRoot, Allowed::kBlock));
    TRY(parse_containers());
  }

  // What follows the root must end the document.
  type = TRY(peek());
  if (!is_document_token(type)) {
    return malformed(tokens_.front().span.begin, "expected the end of the document or '---'");
  }
  Branch& branch = document_.branches.back();
  branch.text.end = std::max(tokens_.front().span.begin, branch.text.begin);
  finish_root_comments();
  if (branch_has_aliases_) TRY(check_expansion(branch));
  if (type == TokenType::kDocumentEnd) consume();
  return {};
}

// yaml.md 1.3.5: the first token behind the root takes what is pending as the document's foot.
void Parser::finish_root_comments() {
  comments_.branches.back().foot = foot_.empty() ? head_ : foot_;
  head_.clear();
  line_.clear();
  foot_.clear();
}

Result<void> Parser::parse_containers() {
  while (!frames_.empty()) TRY(step());
  return {};
}

// In a flow collection: the token that begins the next element, behind its ',' unless it is the first, or `end`.
Result<TokenType> Parser::next_flow_element(TokenType end, const char* otherwise) {
  TokenType next = TRY(peek());
  if (next != end && !top().first) {
    if (next != TokenType::kFlowEntry) return malformed(tokens_.front().span.begin, otherwise);
    consume();
    next = TRY(peek());
  }
  top().first = false;
  return next;
}

// The value of a pair in a flow collection, which may be absent.
Result<void> Parser::parse_flow_value(TokenType end) {
  TokenType next = TRY(peek());
  if (next != TokenType::kValue) return parse_absent(Role::kValue, {});
  consume();
  next = TRY(peek());
  if (next == TokenType::kFlowEntry || next == end) return parse_absent(Role::kValue, {});
  return parse_node(Role::kValue, Allowed::kFlowOnly);
}

// One step in the innermost open container. The states and their order are those of libyaml's parser.
Result<void> Parser::step() {
  const TokenType type = TRY(peek());
  const uint32_t at = tokens_.front().span.begin;
  switch (top().state) {
    case State::kBlockSequence:
      if (type == TokenType::kLines) return parse_lines(true);
      if (type == TokenType::kBlockEntry) {
        consume();
        const TokenType next = TRY(peek());
        if (next == TokenType::kBlockEntry || next == TokenType::kBlockEnd) return parse_absent(Role::kItem, {});
        return parse_node(Role::kItem, Allowed::kBlock);
      }
      if (type != TokenType::kBlockEnd) return malformed(at, "expected '-', or less indentation");
      consume();
      return close_container(false);

    case State::kIndentlessSequence:
      if (type == TokenType::kLines) return parse_lines(true);
      if (type == TokenType::kBlockEntry) {
        consume();
        const TokenType next = TRY(peek());
        if (next == TokenType::kBlockEntry || next == TokenType::kKey || next == TokenType::kValue ||
            next == TokenType::kBlockEnd)
          return parse_absent(Role::kItem, {});
        return parse_node(Role::kItem, Allowed::kBlock);
      }
      return close_container(false);

    case State::kBlockMappingKey:
      if (type == TokenType::kLines) return parse_lines(false);
      if (type == TokenType::kKey) {
        consume();
        const TokenType next = TRY(peek());
        top().state = State::kBlockMappingValue;
        if (next == TokenType::kKey || next == TokenType::kValue || next == TokenType::kBlockEnd)
          return parse_absent(Role::kKey, {});
        return parse_node(Role::kKey, Allowed::kBlockOrIndentless);
      }
      if (type != TokenType::kBlockEnd) return malformed(at, "expected a key, or less indentation");
      TRY(close_container(true));
      return {};

    case State::kBlockMappingValue:
      top().state = State::kBlockMappingKey;
      if (type == TokenType::kValue) {
        consume();
        const TokenType next = TRY(peek());
        if (next == TokenType::kKey || next == TokenType::kValue || next == TokenType::kBlockEnd)
          return parse_absent(Role::kValue, {});
        return parse_node(Role::kValue, Allowed::kBlockOrIndentless);
      }
      return parse_absent(Role::kValue, {});

    case State::kFlowSequence: {
      const TokenType next = TRY(next_flow_element(TokenType::kFlowSequenceEnd, "expected ',' or ']'"));
      if (next == TokenType::kFlowSequenceEnd) return close_container(true);
      if (next != TokenType::kKey) return parse_node(Role::kItem, Allowed::kFlowOnly);
      return open_container(Role::kItem, NodeKind::kMapping, NodeStyle::kFlow, State::kFlowPairKey, {});
    }

    case State::kFlowPairKey:
      top().state = State::kFlowPairValue;
      if (type == TokenType::kValue || type == TokenType::kFlowEntry || type == TokenType::kFlowSequenceEnd) {
        // libyaml 0.2.5 and SOPS's library both swallow this token; nearly always an error further on.
        consume();
        return parse_absent(Role::kKey, {});
      }
      return parse_node(Role::kKey, Allowed::kFlowOnly);

    case State::kFlowPairValue:
      top().state = State::kFlowPairEnd;
      return parse_flow_value(TokenType::kFlowSequenceEnd);

    case State::kFlowPairEnd:
      return close_container(false);

    case State::kFlowMappingKey: {
      TokenType next = TRY(next_flow_element(TokenType::kFlowMappingEnd, "expected ',' or '}'"));
      if (next == TokenType::kFlowMappingEnd) return close_container(true);
      if (next != TokenType::kKey) {
        top().state = State::kFlowMappingEmptyValue;
        return parse_node(Role::kKey, Allowed::kFlowOnly);
      }
      consume();
      next = TRY(peek());
      top().state = State::kFlowMappingValue;
      if (next == TokenType::kValue || next == TokenType::kFlowEntry || next == TokenType::kFlowMappingEnd)
        return parse_absent(Role::kKey, {});
      return parse_node(Role::kKey, Allowed::kFlowOnly);
    }

    case State::kFlowMappingValue:
      top().state = State::kFlowMappingKey;
      return parse_flow_value(TokenType::kFlowMappingEnd);

    case State::kFlowMappingEmptyValue:
      top().state = State::kFlowMappingKey;
      return parse_absent(Role::kValue, {});
  }
  return {};
}

// The handle of a tag must be known (yaml.md 4.4 m).
Result<TagKind> Parser::resolve_tag(const Token& token) {
  const uint32_t end = token.span.end;
  if (end < text_.size() && text_[end] == ',') {
    // yaml.md 4.4 d: SOPS takes the comma for a part of the tag.
    return malformed(end, "',' directly behind a tag");
  }
  if (token.text.empty()) return tag_kind(token.tail);
  std::string_view prefix;
  if (const auto known = handles_.find(token.text); known != handles_.end()) {
    prefix = known->second;
  } else if (token.text == "!!") {
    prefix = "tag:yaml.org,2002:";
  } else if (token.text == "!") {
    prefix = "!";
  } else {
    return malformed(token.span.begin, "tag handle that no %TAG directive defines");
  }
  return tag_kind(std::string(prefix).append(token.tail));
}

Result<void> Parser::parse_properties(Properties& properties) {
  while (true) {
    const TokenType type = TRY(peek());
    const bool is_anchor = type == TokenType::kAnchor && !properties.has_anchor;
    const bool is_tag = type == TokenType::kTag && !properties.has_tag;
    if (!is_anchor && !is_tag) return {};
    const Token& token = tokens_.front();
    if (!properties.any) properties.begin = token.span.begin;
    properties.any = true;
    if (is_anchor) {
      properties.has_anchor = true;
      properties.anchor = token.text;
    } else {
      properties.has_tag = true;
      properties.tag = TRY(resolve_tag(token));
    }
    consume();
  }
}

Result<void> Parser::parse_node(Role role, Allowed allowed) {
  TokenType type = TRY(peek());
  // yaml.md 1.3.5, `-`: what H held then is the head of the block collection that follows directly.
  LineList stem;
  if (after_entry_ && !stem_.empty() &&
      (type == TokenType::kBlockSequenceStart || type == TokenType::kBlockMappingStart)) {
    stem = stem_;
    head_.first = lines()[stem.last].next;
    lines()[stem.last].next = kNoLine;
    if (head_.first == kNoLine) head_.clear();
  }

  if (type == TokenType::kAlias) return parse_alias(role);
  Properties properties;
  TRY(parse_properties(properties));
  type = TRY(peek());
  switch (type) {
    case TokenType::kScalar:
      return parse_scalar(role, properties);
    case TokenType::kBlockEntry:
      if (allowed != Allowed::kBlockOrIndentless) break;
      return open_container(role, NodeKind::kSequence, NodeStyle::kBlock, State::kIndentlessSequence, properties);
    case TokenType::kFlowSequenceStart:
      return open_container(role, NodeKind::kSequence, NodeStyle::kFlow, State::kFlowSequence, properties);
    case TokenType::kFlowMappingStart:
      return open_container(role, NodeKind::kMapping, NodeStyle::kFlow, State::kFlowMappingKey, properties);
    case TokenType::kBlockSequenceStart:
    case TokenType::kBlockMappingStart: {
      if (allowed == Allowed::kFlowOnly) break;
      const bool is_mapping = type == TokenType::kBlockMappingStart;
      TRY(open_container(role, is_mapping ? NodeKind::kMapping : NodeKind::kSequence, NodeStyle::kBlock,
                         is_mapping ? State::kBlockMappingKey : State::kBlockSequence, properties));
      if (!stem.empty()) comments_.of(top().node).head = stem;
      return {};
    }
    default:
      break;
  }
  if (properties.any) return parse_absent(role, properties);
  return malformed(tokens_.front().span.begin, "expected a value");
}

NodeId Parser::add_node(Role role, NodeKind kind) {
  const auto id = static_cast<NodeId>(nodes_.size());
  Node& node = nodes_.emplace_back();
  node.kind = kind;
  if (in_flow()) node.flags |= kFlagInFlow;
  if (frames_.empty()) return id;
  Frame& frame = top();
  node.parent = frame.node;
  if (role != Role::kValue) return id;
  PendingKey& key = frame.key;
  node.key = key.text;
  node.key_span = key.span;
  node.flags |= key.flags;
  if (!key.head.empty() || !key.line.empty() || !key.foot.empty()) {
    NodeComments& comments = comments_.of(id);
    comments.key_head = key.head;
    comments.key_line = key.line;
    comments.key_foot = key.foot;
  }
  frame.last_entry = id;
  frame.merge_value = key.is_merge;
  key = {};
  Branch& branch = document_.branches.back();
  if (frame.node == branch.root && branch.metadata == kNoNode && node.key == "sops" && !node.has(kFlagKeyNotString))
    branch.metadata = id;
  return id;
}

// Takes a scalar or alias as the key of the mapping on top, with what is pending as its comments.
Result<void> Parser::set_key(std::string_view text, Span span, uint8_t flags, bool is_merge) {
  Frame& frame = top();
  PendingKey& key = frame.key;
  key = {.text = text, .span = span, .flags = flags, .is_merge = is_merge};
  Node& mapping = nodes_[frame.node];
  if (mapping.span.end < span.end) mapping.span.end = span.end;
  key.head = take(head_);
  key.line = take(line_);
  key.foot = take(foot_);
  // yaml.md 1.3.6 move 1.
  if (!key.foot.empty() && is_block(mapping) && frame.last_entry != kNoNode)
    comments_.of(frame.last_entry).key_foot = take(key.foot);
  return {};
}

void Parser::define_anchor(const Properties& properties, AnchorTarget target) {
  if (properties.has_anchor) anchors_[properties.anchor] = target;
}

// The type and canonical text of a scalar, put into `out`.
Result<void> Parser::decode(const Properties& properties, bool is_plain, std::string_view text, Span span, Node& out) {
  const TagKind tag = properties.tag;
  out.type = ScalarType::kString;
  out.text = text;
  if (tag == TagKind::kOther || tag == TagKind::kMerge || (tag == TagKind::kNone && !is_plain)) return {};
  if (is_typed(tag)) out.flags |= kFlagTypedTag;

  if (tag == TagKind::kBinary) {
    const std::span<uint8_t> bytes = document_.arena.allocate(base64_decoded_bound(text.size()));
    if (const std::optional<size_t> length = base64_decode(text, bytes.data())) {
      out.text = as_text(bytes.first(*length));
      return {};
    }
  } else {
    const std::optional<TypedResolution> found =
        tag == TagKind::kNone ? resolve_plain(text) : resolve_tagged(tag, text);
    if (found) {
      out.type = found->type();
      out.text = found->owns_text() ? document_.arena.store(found->text()) : found->text();
      if (out.type == ScalarType::kTime && is_unwritable_time(text)) {
        return fail(ErrorCode::kUnsupported, "time with a zone offset of 24 hours")
            .hint("SOPS can read it but not write it again; put it in quotes")
            .exit(mode_ == ScanMode::kPlain ? ExitStatus::kCannotEncryptTree : ExitStatus::kCannotDecryptTree)
            .at(position_at(text_, span.begin));
      }
      return {};
    }
  }
  // yaml.md 2.4: an error in the first document, null in later ones.
  if (is_strict()) {
    return fail(ErrorCode::kMalformed, "the text does not fit its tag").at(position_at(text_, span.begin));
  }
  warn(span.begin, "the text does not fit its tag and counts as null");
  out.type = ScalarType::kNull;
  out.text = {};
  out.flags |= kFlagOdd;
  return {};
}

Result<void> Parser::parse_scalar(Role role, const Properties& properties) {
  const Token token = tokens_.front();
  const uint32_t begin = properties.any ? properties.begin : token.span.begin;
  const std::string_view source = text_.substr(token.span.begin, token.span.size());
  const bool is_plain = token.style == NodeStyle::kPlain;
  if (is_plain && in_flow() && source.find('?') != std::string_view::npos) {
    return fail(ErrorCode::kMalformed, "'?' in an unquoted text inside a flow collection")
        .hint("SOPS cannot load it; put the text in quotes")
        .at(position_at(text_, token.span.begin + source.find('?')));
  }
  if (token.style == NodeStyle::kDoubleQuoted && source.size() != token.text.size() + 2 && has_slash_escape(source)) {
    return fail(ErrorCode::kMalformed, "escape '\\/' in a quoted text")
        .hint("SOPS does not know it; write '/'")
        .at(position_at(text_, token.span.begin));
  }

  Node scalar;
  scalar.style = token.style;
  scalar.span = {begin, token.span.end};
  scalar.content = token.span.begin;
  if (token.style == NodeStyle::kLiteral || token.style == NodeStyle::kFolded) {
    const BlockShape shape = shape_of_block(text_, token.span.begin, token.span.end, block_column());
    if (!shape.has_comment) {
      scalar.span.end = shape.has_content ? shape.content_end : shape.header.end;
    } else {
      scalar.span = shape.has_content ? Span{shape.body, shape.content_end} : Span{shape.header_end, shape.header_end};
      if (role != Role::kKey && is_typed(properties.tag) && mode_ == ScanMode::kPlain) {
        return fail(ErrorCode::kUnsupported, "comment between a typed tag and its block scalar")
            .hint("move the comment to a line of its own")
            .at(position_at(text_, token.span.begin));
      }
    }
  }
  TRY(decode(properties, is_plain, token.text, {begin, token.span.end}, scalar));
  const uint32_t end = scalar.span.end;
  consume();
  last_end_ = end;

  if (role == Role::kKey) {
    uint8_t flags = scalar.flags & kFlagOdd;
    const bool is_string = scalar.type == ScalarType::kString;
    if (!is_string) flags |= kFlagKeyNotString;
    const bool is_merge =
        token.text == "<<" && ((is_plain && properties.tag == TagKind::kNone) || properties.tag == TagKind::kMerge);
    define_anchor(properties, {.type = scalar.type, .text = scalar.text});
    // A block scalar as key has its header in the key's span, comment or not.
    return set_key(is_string ? scalar.text : token.text, {begin, std::max(end, begin)}, flags, is_merge);
  }
  if (role == Role::kRoot) {
    if (scalar.type != ScalarType::kNull || scalar.has(kFlagOdd))
      return malformed(begin, "the document is a single value, not a mapping");
    define_anchor(properties, {});
    return make_null_root(scalar.span, NodeStyle::kPlain, properties);
  }
  const NodeId id = add_node(role, NodeKind::kScalar);
  Node& node = nodes_[id];
  node.type = scalar.type;
  node.style = scalar.style;
  node.flags |= scalar.flags;
  node.span = scalar.span;
  node.content = scalar.content;
  node.text = scalar.text;
  node.next = id + 1;
  if (properties.has_anchor) node.flags |= kFlagAnchored;
  define_anchor(properties, {.node = id});
  take_comments(id);
  return finish_value();
}

// What parse_scalar would make of every key and value in the lines. None of them has properties or comments, and the
// nodes before them have got theirs.
Result<void> Parser::parse_lines(bool is_item) {
  const Token token = tokens_.front();
  const auto end = static_cast<uint32_t>(token.span.begin - token.column + token.text.size());
  SimpleLine line;
  for (uint32_t at = token.span.begin - token.column; at < end; at = line.end) {
    const bool is_simple = simple_line(text_, at, line) && line.is_item == is_item;
    if (!is_simple) return malformed(at, "lines where they do not belong");
    if (!is_item) {
      Node key;
      const std::string_view text = document_.slice(line.key);
      TRY(decode({}, true, text, line.key, key));
      const bool is_string = key.type == ScalarType::kString;
      top().key = {.text = text, .span = line.key, .flags = static_cast<uint8_t>(is_string ? 0 : kFlagKeyNotString)};
    }
    const NodeId id = add_node(is_item ? Role::kItem : Role::kValue, NodeKind::kScalar);
    Node& node = nodes_[id];
    node.style = line.style;
    node.span = line.value;
    node.content = line.value.begin;
    node.next = id + 1;
    TRY(decode({}, line.style == NodeStyle::kPlain, document_.slice(line.content()), line.value, node));
    TRY(finish_value());
  }
  consume();
  return {};
}

Result<void> Parser::parse_alias(Role role) {
  const Token token = tokens_.front();
  const auto found = anchors_.find(token.text);
  if (found == anchors_.end()) {
    return fail(ErrorCode::kMalformed, "alias of an anchor '{}' that does not exist", escape_for_message(token.text))
        .at(position_at(text_, token.span.begin));
  }
  const AnchorTarget target = found->second;
  const bool is_scalar = target.node == kNoNode || nodes_[target.node].kind == NodeKind::kScalar;
  // A container gets its `next` when it is closed.
  if (target.node != kNoNode && nodes_[target.node].next == 0) {
    return fail(ErrorCode::kMalformed, "anchor '{}' contains itself", escape_for_message(token.text))
        .at(position_at(text_, token.span.begin));
  }
  branch_has_aliases_ = true;
  consume();

  if (role == Role::kRoot) {
    return fail(ErrorCode::kUnsupported, "an alias as a whole document").at(position_at(text_, token.span.begin));
  }
  if (role == Role::kKey) {
    if (!is_scalar) {
      return collection_key(token.span.begin);
    }
    const ScalarType type = target.node == kNoNode ? target.type : nodes_[target.node].type;
    const std::string_view text = target.node == kNoNode ? target.text : nodes_[target.node].text;
    const bool is_string = type == ScalarType::kString;
    const uint8_t flags = static_cast<uint8_t>(kFlagAliasKey | (is_string ? 0 : kFlagKeyNotString));
    return set_key(text, token.span, flags, false);
  }
  const NodeId id = add_node(role, target.node == kNoNode ? NodeKind::kScalar : NodeKind::kAlias);
  Node& node = nodes_[id];
  node.span = token.span;
  node.content = token.span.begin;
  node.next = id + 1;
  if (target.node == kNoNode) {
    node.style = NodeStyle::kRaw;
    node.type = target.type;
    node.text = target.text;
  } else {
    node.target = target.node;
    node.text = token.text;
  }
  take_comments(id);
  return finish_value();
}

// A node without text of its own: takes no comments (yaml.md 1.3.5).
Result<void> Parser::parse_absent(Role role, const Properties& properties) {
  Node scalar;
  scalar.style = NodeStyle::kAbsent;
  scalar.span = {properties.any ? properties.begin : last_end_, last_end_};
  scalar.content = last_end_;
  TRY(decode(properties, true, {}, scalar.span, scalar));
  if (role == Role::kKey) {
    const bool is_string = scalar.type == ScalarType::kString;
    define_anchor(properties, {.type = scalar.type, .text = scalar.text});
    Frame& frame = top();
    frame.key = {.span = scalar.span, .flags = static_cast<uint8_t>(is_string ? 0 : kFlagKeyNotString)};
    return {};
  }
  if (role == Role::kRoot) {
    if (scalar.type != ScalarType::kNull || scalar.has(kFlagOdd))
      return malformed(scalar.span.begin, "the document is a single value, not a mapping");
    define_anchor(properties, {});
    return make_null_root(scalar.span, NodeStyle::kAbsent, properties);
  }
  const NodeId id = add_node(role, NodeKind::kScalar);
  Node& node = nodes_[id];
  node.type = scalar.type;
  node.style = NodeStyle::kAbsent;
  node.flags |= scalar.flags;
  node.span = scalar.span;
  node.content = scalar.content;
  node.text = scalar.text;
  node.next = id + 1;
  if (properties.has_anchor) node.flags |= kFlagAnchored;
  define_anchor(properties, {.node = id});
  return finish_value();
}

// A document that is null, or nothing, counts as an empty mapping. The null's comments become the mapping's, but for
// the foot, which SOPS drops.
Result<void> Parser::make_null_root(Span span, NodeStyle style, const Properties& properties) {
  const auto id = static_cast<NodeId>(nodes_.size());
  Node& node = nodes_.emplace_back();
  node.kind = NodeKind::kMapping;
  node.style = style;
  node.span = span;
  node.content = span.begin;
  node.next = id + 1;
  if (properties.has_anchor) node.flags |= kFlagAnchored;
  if (style == NodeStyle::kPlain) {
    foot_.clear();
    take_comments(id);
  }
  return {};
}

Result<void> Parser::open_container(Role role, NodeKind kind, NodeStyle style, State state,
                                    const Properties& properties) {
  const Token token = tokens_.front();
  if (role == Role::kKey) return collection_key(token.span.begin);
  if (role == Role::kRoot && kind == NodeKind::kSequence)
    return malformed(token.span.begin, "the document is a list, not a mapping");
  if (frames_.size() >= kMaxDepth) {
    return fail(ErrorCode::kUnsupported, "nested deeper than {} levels", kMaxDepth)
        .at(position_at(text_, token.span.begin));
  }
  const NodeId id = add_node(role, kind);
  Node& node = nodes_[id];
  node.style = style;
  node.content = token.span.begin;
  node.span = {properties.any ? properties.begin : token.span.begin, token.span.end};
  if (properties.has_anchor) node.flags |= kFlagAnchored;
  define_anchor(properties, {.node = id});
  const bool has_bracket = token.type == TokenType::kFlowSequenceStart || token.type == TokenType::kFlowMappingStart;
  if (has_bracket) take_comments(id);
  frames_.push_back({.state = state, .node = id});
  // The `-` of an indentless list is read as its first item.
  if (state != State::kIndentlessSequence) consume();
  return {};
}

// Closes the container on top. With comments: the front token is its bracket or the block end of a mapping, which take
// what is pending (yaml.md 1.3.5).
Result<void> Parser::close_container(bool with_comments) {
  const NodeId id = top().node;
  const bool is_flow = nodes_[id].style == NodeStyle::kFlow;
  if (with_comments) {
    const bool any = !line_.empty() || !foot_.empty();
    if (any || (is_flow && comments_.find(id) != nullptr)) {
      NodeComments& comments = comments_.of(id);
      comments.line = take(line_);
      comments.foot = take(foot_);
      // yaml.md 1.3.6 move 3.
      if (!is_flow && !comments.foot.empty() && top().last_entry != kNoNode) {
        const LineList foot = take(comments.foot);
        comments_.of(top().last_entry).key_foot = foot;
      }
    }
    head_.clear();
    consume();
  }
  Node& node = nodes_[id];
  node.span.end = std::max(node.span.end, last_end_);
  node.next = static_cast<NodeId>(nodes_.size());
  const NodeKind kind = node.kind;
  if (kind == NodeKind::kMapping) TRY(check_keys(id));
  frames_.pop_back();
  return finish_value();
}

// The value or item that was last read is complete: frames_.back() is the container it belongs to.
Result<void> Parser::finish_value() {
  if (frames_.empty()) return {};
  Frame& frame = top();
  if (nodes_[frame.node].kind != NodeKind::kMapping) return {};
  const NodeId entry = frame.last_entry;
  // yaml.md 1.3.6 move 2.
  NodeComments* const comments = comments_.find(entry);
  if (comments != nullptr && comments->key_foot.empty() && !comments->foot.empty())
    comments->key_foot = take(comments->foot);
  if (!frame.merge_value) return {};
  frame.merge_value = false;
  return check_merge(entry);
}

// ---- checks

void Parser::warn(size_t offset, std::string_view what) {
  if (document_.warnings.size() > kMaxWarnings) return;
  if (document_.warnings.size() == kMaxWarnings) {
    document_.warnings.emplace_back("more of the kind");
    return;
  }
  const TextPosition where = position_at(text_, offset);
  document_.warnings.push_back(format("line {}, column {}: {}", where.line, where.column, what));
}

// yaml.md 3.3: the value of a merge key is a mapping, an alias of one, or a list of these.
Result<void> Parser::check_merge(NodeId entry) {
  const auto is_mapping = [this](const Node& node) {
    return node.kind == NodeKind::kMapping ||
           (node.kind == NodeKind::kAlias && nodes_[node.target].kind == NodeKind::kMapping);
  };
  Node& node = nodes_[entry];
  bool fits = is_mapping(node);
  if (node.kind == NodeKind::kSequence) {
    fits = true;
    for (NodeId id = entry + 1; fits && id < node.next; id = nodes_[id].next) fits = is_mapping(nodes_[id]);
  }
  if (fits) return {};
  if (is_strict()) return malformed(node.key_span.begin, "'<<' needs a mapping or a list of mappings as its value");
  warn(node.key_span.begin, "'<<' without a mapping as its value");
  node.flags |= kFlagOdd;
  return {};
}

// yaml.md 4.2: repeated keys, compared by text; aliases by name.
Result<void> Parser::check_keys(NodeId mapping) {
  const NodeId end = nodes_[mapping].next;
  const auto same = [this](NodeId a, NodeId b) {
    const Node& x = nodes_[a];
    const Node& y = nodes_[b];
    if (x.has(kFlagAliasKey) != y.has(kFlagAliasKey)) return false;
    if (x.has(kFlagAliasKey)) return document_.slice(x.key_span) == document_.slice(y.key_span);
    return x.key == y.key;
  };
  const auto repeated = [this](NodeId first, NodeId second) -> Result<void> {
    Node& node = nodes_[second];
    node.flags |= kFlagOdd;
    if (!is_strict() && document_.warnings.size() > kMaxWarnings) return {};
    const std::string what = format("key '{}' is already in line {}", escape_for_message(node.key),
                                    position_at(text_, nodes_[first].key_span.begin).line);
    if (is_strict()) return malformed(node.key_span.begin, what);
    warn(node.key_span.begin, what);
    return {};
  };

  // A small mapping, pair by pair.
  std::array<NodeId, kSmallMapping> small;
  size_t count = 0;
  NodeId id = mapping + 1;
  for (; id < end && count < kSmallMapping; id = nodes_[id].next) {
    for (size_t i = 0; i < count; ++i) {
      if (!same(small[i], id)) continue;
      TRY(repeated(small[i], id));
      break;
    }
    small[count++] = id;
  }
  if (id >= end) return {};

  // A large one: sorted, so that equal keys are neighbours. The hash comes first because it is quick to compare; the
  // text decides, so keys made to collide cost no more.
  hashes_.clear();
  const auto text_of = [this](NodeId entry) {
    const Node& node = nodes_[entry];
    return node.has(kFlagAliasKey) ? document_.slice(node.key_span) : node.key;
  };
  for (id = mapping + 1; id < end; id = nodes_[id].next) {
    const uint64_t hash = std::hash<std::string_view>{}(text_of(id));
    hashes_.emplace_back(nodes_[id].has(kFlagAliasKey) ? ~hash : hash, id);
  }
  std::ranges::sort(hashes_, [&](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first < b.first;
    const int order = text_of(a.second).compare(text_of(b.second));
    return order != 0 ? order < 0 : a.second < b.second;
  });
  for (size_t i = 1; i < hashes_.size(); ++i) {
    const NodeId second = hashes_[i].second;
    if (hashes_[i - 1].first != hashes_[i].first || !same(hashes_[i - 1].second, second)) continue;
    if (!nodes_[second].has(kFlagOdd)) TRY(repeated(hashes_[i - 1].second, second));
  }
  return {};
}

// yaml.md 3.5: counts nodes as SOPS's library does when it decodes the document, and stops where that does.
Result<void> Parser::check_expansion(const Branch& branch) {
  struct Range {
    NodeId at;
    NodeId end;
    bool aliased;
  };
  uint64_t total = 0;
  uint64_t aliased = 0;
  bool exceeded = false;
  const auto count = [&](uint64_t nodes, bool is_aliased) {
    total += nodes;
    if (is_aliased) aliased += nodes;
    if (aliased <= 100 || total <= 1000) return;
    constexpr double kLow = 400'000;
    constexpr double kHigh = 4'000'000;
    const auto whole = static_cast<double>(total);
    const double limit = whole <= kLow ? 0.99 : whole >= kHigh ? 0.10 : 0.99 - 0.89 * (whole - kLow) / (kHigh - kLow);
    if (static_cast<double>(aliased) / whole > limit) exceeded = true;
  };

  std::vector<Range> ranges = {{branch.root, branch.root + 1, false}};
  count(0, false);
  // The root's children follow it in the array, so walking the array is walking the tree.
  ranges.back().end = nodes_[branch.root].next;
  while (!ranges.empty() && !exceeded) {
    Range& range = ranges.back();
    if (range.at >= range.end) {
      ranges.pop_back();
      continue;
    }
    const Node& node = nodes_[range.at++];
    const bool in_alias = range.aliased;
    if (!node.key.empty() || node.key_span.size() > 0) {
      count(1, in_alias);
      if (node.has(kFlagAliasKey)) count(1, true);
    }
    count(1, in_alias);
    if (node.kind == NodeKind::kScalar && node.style == NodeStyle::kRaw) count(1, true);
    if (node.kind == NodeKind::kAlias) {
      // The target itself, without its own key, then what is below it.
      count(1, true);
      if (nodes_[node.target].is_container())
        ranges.push_back({node.target + 1, nodes_[node.target].next, true});
      else if (nodes_[node.target].kind == NodeKind::kAlias)
        ranges.push_back({node.target, node.target + 1, true});
    }
  }
  if (!exceeded) return {};
  return fail(ErrorCode::kMalformed, "aliases that expand to too much").at(position_at(text_, branch.text.begin));
}

}  // namespace

namespace {

Result<Document> scan_tokens(std::string_view text, ScanMode mode, const CondensedText* condensed) {
  Document document;
  document.text = text;
  size_t lines = 0;
  for (size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) ++lines;
  document.nodes.reserve(lines + 16);  // most lines have a node
  {
    Parser parser(text, mode, condensed, document);
    TRY(parser.run());
    if (document.branches.empty()) {
      return fail(ErrorCode::kMalformed, "no document: nothing but blanks and comments")
          .hint("write {} for a document without entries");
    }
    if (!parser.lines().empty()) weave(document, parser.lines(), parser.comments());
  }  // the parser gives the texts that it decoded to the document, before the document goes anywhere
  return document;
}

}  // namespace

Result<Document> scan(std::string_view text, ScanMode mode) { return scan_with(text, mode, Condensing::kIfWorthwhile); }

Result<Document> scan_with(std::string_view text, ScanMode mode, Condensing condensing) {
  if (text.empty()) {
    return fail(ErrorCode::kMalformed, "an empty file: it must contain at least one document")
        .hint("write {} for a document without entries")
        .exit(ExitStatus::kNoDocument);
  }
  if (text.size() > kMaxDocumentSize) return fail(ErrorCode::kUnsupported, "a text of more than 4 GB");
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    return fail(ErrorCode::kMalformed, "UTF-16 where UTF-8 is expected");

  if (condensing != Condensing::kNever) {
    const std::string_view mark = "\xEF\xBB\xBF";
    const std::string_view body = text.starts_with(mark) ? text.substr(mark.size()) : text;
    if (const auto condensed = condense(body, condensing == Condensing::kAlways ? 1 : kWorthwhile)) {
      auto document = scan_tokens(text, mode, &*condensed);
      if (document) return document;
      // Whatever is wrong is found again on the text itself, and at the right place.
    }
  }
  return scan_tokens(text, mode, nullptr);
}

}  // namespace sops::yaml
