// SPDX-License-Identifier: MPL-2.0
#include "formats/yaml/weave.h"

#include <algorithm>
#include <utility>

namespace sops::yaml {
namespace {

constexpr uint32_t kNoRecord = 0xffffffff;

// Writes the final nodes in one pass over the raw ones, with a stack of the containers that are open.
class Weaver {
 public:
  Weaver(Document& document, std::span<const CommentLine> lines, const CommentTable& table)
      : document_(document), table_(table), raw_(document.nodes), lines_(lines) {}

  void run();

 private:
  struct Open {
    NodeId raw;
    NodeId out;
    bool own_comments;  // the container's own comments stand inside it (not of a list item)
  };

  void find_unseen();
  void mark(const LineList& list, std::vector<bool>& seen);
  void emit_line(LineId line, uint8_t flags);
  void emit(const LineList& list, uint8_t flags = 0);
  void emit_unseen(uint32_t limit);
  void emit_branch(size_t index);
  void open(NodeId raw, bool own_comments);
  void close();
  void emit_before(NodeId raw);
  void emit_after(NodeId raw);
  bool is_block_level() const { return stack_.size() == 1 || raw_[stack_.back().raw].style == NodeStyle::kBlock; }

  Document& document_;
  const CommentTable& table_;
  std::vector<Node>& raw_;
  std::span<const CommentLine> lines_;
  std::vector<Node> out_;
  std::vector<NodeId> new_ids_;
  std::vector<LineId> unseen_;
  size_t next_unseen_ = 0;
  std::vector<Open> stack_;
};

void Weaver::mark(const LineList& list, std::vector<bool>& seen) {
  for (LineId line = list.first; line != kNoLine; line = line == list.last ? kNoLine : lines_[line].next)
    seen[line] = true;
}

// yaml.md 1.4: the lines that are in no node's lists.
void Weaver::find_unseen() {
  std::vector<bool> seen(lines_.size());
  for (const NodeComments& comments : table_.all()) {
    for (const LineList* list :
         {&comments.key_head, &comments.key_line, &comments.key_foot, &comments.head, &comments.line, &comments.foot})
      mark(*list, seen);
  }
  for (const BranchComments& comments : table_.branches) {
    mark(comments.head, seen);
    mark(comments.foot, seen);
  }
  for (LineId line = 0; line < lines_.size(); ++line) {
    if (!seen[line]) unseen_.push_back(line);
  }
  std::ranges::sort(unseen_, {}, [this](LineId line) { return lines_[line].span.begin; });
}

void Weaver::emit_line(LineId id, uint8_t flags) {
  const CommentLine& line = lines_[id];
  Node& node = out_.emplace_back();
  node.kind = NodeKind::kComment;
  node.style = NodeStyle::kRaw;
  node.flags = flags;
  if (line.in_flow) node.flags |= kFlagInFlow;
  node.parent = stack_.back().out;
  node.span = line.span;
  node.content = line.span.begin + 1;
  node.text = document_.slice({line.span.begin + 1, line.span.end});
  node.next = static_cast<NodeId>(out_.size());
}

void Weaver::emit(const LineList& list, uint8_t flags) {
  for (LineId line = list.first; line != kNoLine; line = line == list.last ? kNoLine : lines_[line].next)
    emit_line(line, flags);
}

// Lost comments in front of `limit` go to the block container on top of the stack.
void Weaver::emit_unseen(uint32_t limit) {
  while (next_unseen_ < unseen_.size() && lines_[unseen_[next_unseen_]].span.begin < limit)
    emit_line(unseen_[next_unseen_++], kFlagUnseen);
}

void Weaver::open(NodeId raw, bool own_comments) {
  const auto id = static_cast<NodeId>(out_.size());
  new_ids_[raw] = id;
  out_.push_back(raw_[raw]);
  out_.back().parent = stack_.empty() ? kNoNode : stack_.back().out;
  stack_.push_back({raw, id, own_comments});
  const NodeComments* comments = table_.find(raw);
  if (!own_comments || comments == nullptr) return;
  emit(comments->head);
  emit(comments->line);
}

void Weaver::close() {
  const Open container = stack_.back();
  if (is_block_level() && stack_.size() > 1) emit_unseen(raw_[container.raw].span.end);
  const NodeComments* comments = table_.find(container.raw);
  if (container.own_comments && comments != nullptr) emit(comments->foot);
  out_[container.out].next = static_cast<NodeId>(out_.size());
  stack_.pop_back();
}

// The comments in front of an entry or item.
void Weaver::emit_before(NodeId raw) {
  const NodeComments* comments = table_.find(raw);
  if (comments == nullptr) return;
  const bool in_sequence = raw_[stack_.back().raw].kind == NodeKind::kSequence;
  emit(comments->key_head);
  emit(comments->key_line);
  if (!in_sequence && raw_[raw].is_container()) return;
  emit(comments->head);
  emit(comments->line, kFlagInline);
}

// The comments behind an entry or item whose subtree is complete.
void Weaver::emit_after(NodeId raw) {
  const NodeComments* comments = table_.find(raw);
  if (comments == nullptr) return;
  const bool in_sequence = raw_[stack_.back().raw].kind == NodeKind::kSequence;
  if (in_sequence || !raw_[raw].is_container()) emit(comments->foot);
  emit(comments->key_foot);
}

void Weaver::emit_branch(size_t index) {
  Branch& branch = document_.branches[index];
  const BranchComments& ends = table_.branches[index];
  const bool is_last = index + 1 == document_.branches.size();
  const NodeId root = branch.root;
  const NodeId end = raw_[root].next;
  const auto id = static_cast<NodeId>(out_.size());
  new_ids_[root] = id;
  out_.push_back(raw_[root]);
  stack_.push_back({root, id, true});
  emit(ends.head);
  if (const NodeComments* comments = table_.find(root)) {
    emit(comments->head);
    emit(comments->line);
  }

  for (NodeId raw = root + 1; raw <= end; ++raw) {
    // Close what ends here, innermost first.
    while (stack_.size() > 1 && raw_[stack_.back().raw].next <= raw) {
      const NodeId closed = stack_.back().raw;
      close();
      emit_after(closed);
    }
    if (raw == end) break;
    const Node& node = raw_[raw];
    if (is_block_level()) emit_unseen(node.key_span.size() > 0 ? node.key_span.begin : node.span.begin);
    emit_before(raw);
    if (node.is_container()) {
      open(raw, raw_[stack_.back().raw].kind == NodeKind::kMapping);
      continue;
    }
    new_ids_[raw] = static_cast<NodeId>(out_.size());
    out_.push_back(node);
    out_.back().parent = stack_.back().out;
    out_.back().next = static_cast<NodeId>(out_.size());
    emit_after(raw);
  }

  emit_unseen(is_last ? static_cast<uint32_t>(document_.text.size()) : branch.text.end);
  if (const NodeComments* comments = table_.find(root)) emit(comments->foot);
  emit(ends.foot);
  out_[id].next = static_cast<NodeId>(out_.size());
  stack_.pop_back();
}

void Weaver::run() {
  find_unseen();
  new_ids_.assign(raw_.size(), kNoNode);
  out_.reserve(raw_.size() + lines_.size());
  for (size_t i = 0; i < document_.branches.size(); ++i) emit_branch(i);
  for (Node& node : out_) {
    if (node.kind == NodeKind::kAlias) node.target = new_ids_[node.target];
  }
  for (Branch& branch : document_.branches) {
    branch.root = new_ids_[branch.root];
    if (branch.metadata != kNoNode) branch.metadata = new_ids_[branch.metadata];
  }
  raw_ = std::move(out_);
}

}  // namespace

NodeComments& CommentTable::of(NodeId id) {
  if (slots_.size() <= id) slots_.resize(std::max<size_t>(id + 1, slots_.size() * 2), kNoRecord);
  if (slots_[id] == kNoRecord) {
    slots_[id] = static_cast<uint32_t>(records_.size());
    records_.emplace_back();
  }
  return records_[slots_[id]];
}

NodeComments* CommentTable::find(NodeId id) {
  return id < slots_.size() && slots_[id] != kNoRecord ? &records_[slots_[id]] : nullptr;
}

const NodeComments* CommentTable::find(NodeId id) const {
  return id < slots_.size() && slots_[id] != kNoRecord ? &records_[slots_[id]] : nullptr;
}

void weave(Document& document, std::span<const CommentLine> lines, const CommentTable& table) {
  Weaver(document, lines, table).run();
}

}  // namespace sops::yaml
