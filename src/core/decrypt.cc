// SPDX-License-Identifier: MPL-2.0
#include "core/decrypt.h"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <unordered_map>

#include "base/parallel.h"
#include "base/rfc3339.h"
#include "core/layout.h"
#include "core/mac.h"

namespace sops {

namespace {

constexpr size_t kLeavesPerPiece = 1024;  // of work for one thread: large enough to hide the cost of a cipher object

// Finds where a comment may have been when it was encrypted (in-place.md 3, at most 16 places): SOPS itself attaches
// some comments elsewhere when it reads a file again.
class CommentPlaces {
 public:
  CommentPlaces(const Document& document, const Walk& walk) : document_(document), walk_(walk) {}

  /// The likeliest place, nearly always the right one.
  std::string computed(const Leaf& leaf) const {
    std::string path;
    walk_.aad(document_, leaf, path);
    return path;
  }

  /// All of them, the likeliest first.
  std::vector<std::string> all(const Leaf& leaf) {
    constexpr size_t kMost = 16;
    std::vector<std::string> places;
    const auto add = [&](std::string path) {
      if (path.empty()) path = ":";
      if (places.size() < kMost && std::find(places.begin(), places.end(), path) == places.end()) {
        places.push_back(std::move(path));
      }
    };
    add(computed(leaf));
    const NodeId parent = document_.node(leaf.node).parent;
    for (NodeId id = parent; id != kNoNode; id = document_.node(id).parent) add(container_path(document_, id));
    if (parent == kNoNode) return places;

    // The container before the comment, inwards from its outermost level, and the one behind.
    const std::vector<NodeId>& siblings = containers_in(parent);
    const auto behind = std::lower_bound(siblings.begin(), siblings.end(), leaf.node);
    const NodeId next = behind == siblings.end() ? kNoNode : *behind;
    for (NodeId id = next; id != kNoNode && document_.node(id).is_container() && places.size() < kMost; ++id) {
      add(container_path(document_, id));
      if (id + 1 >= document_.node(id).next) break;
    }
    NodeId previous = behind == siblings.begin() ? kNoNode : *(behind - 1);
    while (previous != kNoNode && places.size() < kMost) {
      add(container_path(document_, previous));
      NodeId last = kNoNode;
      for (NodeId id = previous + 1; id < document_.node(previous).next; id = document_.node(id).next) {
        if (document_.node(id).is_container()) last = id;
      }
      previous = last;
    }
    return places;
  }

 private:
  // The containers directly in `parent`. Kept, because comments come one after the other.
  const std::vector<NodeId>& containers_in(NodeId parent) {
    if (parent == parent_) return containers_;
    parent_ = parent;
    containers_.clear();
    for (NodeId id = parent + 1; id < document_.node(parent).next; id = document_.node(id).next) {
      if (document_.node(id).is_container()) containers_.push_back(id);
    }
    return containers_;
  }

  const Document& document_;
  const Walk& walk_;
  NodeId parent_ = kNoNode;
  std::vector<NodeId> containers_;
};

// What one thread needs to decrypt leaves.
class LeafDecrypter {
 public:
  LeafDecrypter(const Document& document, const Walk& walk, ValueCipher cipher)
      : document_(document), walk_(walk), cipher_(std::move(cipher)), places_(document, walk) {}

  Result<LeafValue> decrypt(const Leaf& leaf) {
    const Node& node = document_.node(leaf.node);
    LeafValue result{.value = {node.type, node.text}, .is_comment = leaf.is_comment};
    if (!leaf.selected || node.text.empty()) return result;
    if (leaf.is_comment) {
      decrypt_comment(leaf, node, result);
      return result;
    }
    if (node.type == ScalarType::kNull) return result;
    if (node.type != ScalarType::kString) {
      return at(leaf, fail(ErrorCode::kMalformed, "an encrypted value was expected, but this is a plain {}",
                           type_tag(node.type))
                          .hint("the value was probably edited by hand; use sops edit or sops set")
                          .exit(ExitStatus::kCannotDecryptTree));
    }
    walk_.aad(document_, leaf, aad_);
    auto decrypted = cipher_.decrypt(node.text, aad_, arena);
    if (!decrypted) return at(leaf, fail(std::move(decrypted.error())));
    const auto fields = parse_ciphertext(node.text);
    const bool ends_cleanly = fields && fields->rest.find_first_not_of('\n') == std::string_view::npos;
    if (!ends_cleanly) {
      warn(leaf, "text behind the encrypted value is ignored");
    }
    result.value = decrypted->value;
    result.was_encrypted = true;
    result.may_stay = ends_cleanly && decrypted->was_canonical;
    // format.md 4.8: an encrypted comment in a list stands there as an item. In a mapping the tag "comment" can only be
    // hand-made; the text stays what it is, a string.
    result.is_comment = decrypted->is_comment && leaf.entry == kNoNode;
    return result;
  }

  SecureArena arena;
  std::vector<std::string> warnings;

 private:
  Result<LeafValue> at(const Leaf& leaf, Failure failure) {
    Error error = std::move(failure).at(position_at(document_.text, document_.node(leaf.node).span.begin)).error();
    error.context.push_back(describe_place(document_, walk_, leaf));
    return fail(std::move(error));
  }

  // Lines are counted on from the last warning: there may be one for every comment of a large file.
  void warn(const Leaf& leaf, std::string_view what) {
    const size_t begin = document_.node(leaf.node).span.begin;
    if (begin < counted_) {
      counted_ = 0;
      line_ = 1;
    }
    line_ += position_at(document_.text.substr(counted_), begin - counted_).line - 1;
    counted_ = begin;
    warnings.push_back(format("line {}: {}: {}", line_, describe_place(document_, walk_, leaf), what));
  }

  // format.md 6.1.29: a comment that does not decrypt stays as it is, with a warning.
  void decrypt_comment(const Leaf& leaf, const Node& node, LeafValue& result) {
    const auto fields = parse_ciphertext(node.text);
    if (!fields) {
      warn(leaf, "the comment is not encrypted");
      return;
    }
    const auto decrypts = [&](const std::string& path) {
      auto decrypted = cipher_.decrypt(node.text, path, arena);
      if (!decrypted) return false;
      result.value = {ScalarType::kString, decrypted->value.text};
      result.was_encrypted = true;
      result.may_stay = decrypted->is_comment && fields->rest.empty();
      return true;
    };
    if (decrypts(places_.computed(leaf))) return;
    for (const std::string& path : places_.all(leaf)) {
      if (!decrypts(path)) continue;
      result.may_stay = false;
      return;
    }
    warn(leaf, "the encrypted comment cannot be decrypted and stays as it is");
  }

  const Document& document_;
  const Walk& walk_;
  ValueCipher cipher_;
  CommentPlaces places_;
  std::string aad_;
  size_t counted_ = 0;  // the place of the last warning
  size_t line_ = 1;     // and its line
};

}  // namespace

Result<void> decrypt_leaves(const Document& document, const Walk& walk, const DataKey& key,
                            std::vector<LeafValue>& values, std::vector<SecureArena>& storage,
                            std::vector<std::string>& warnings) {
  const size_t count = walk.leaves.size();
  values.resize(count);
  std::vector<std::vector<std::string>> said((count + kLeavesPerPiece - 1) / kLeavesPerPiece);  // by each piece
  std::mutex mutex;
  // The first failure in walk order, whatever thread finds it.
  size_t failed_at = count;
  std::optional<Error> failure;

  parallel_for(count, kLeavesPerPiece, [&](size_t begin, size_t end) {
    const auto report = [&](size_t index, Error error) {
      const std::lock_guard lock(mutex);
      if (index < failed_at) {
        failed_at = index;
        failure = std::move(error);
      }
    };
    auto cipher = ValueCipher::create(key);
    if (!cipher) return report(begin, std::move(cipher.error()));
    LeafDecrypter decrypter(document, walk, std::move(*cipher));
    for (size_t i = begin; i < end; ++i) {
      auto value = decrypter.decrypt(walk.leaves[i]);
      if (!value) {
        report(i, std::move(value.error()));
        break;
      }
      values[i] = *value;
    }
    said[begin / kLeavesPerPiece] = std::move(decrypter.warnings);
    const std::lock_guard lock(mutex);
    storage.push_back(std::move(decrypter.arena));
  });
  if (failure) return fail(std::move(*failure));
  for (std::vector<std::string>& piece : said) std::ranges::move(piece, std::back_inserter(warnings));
  return {};
}

namespace {

// Decrypts a metadata entry, `mac` or `layout`.
Result<std::string_view> decrypt_entry(const DataKey& key, std::string_view ciphertext, std::string_view aad,
                                       SecureArena& arena) {
  ValueCipher cipher = TRY(ValueCipher::create(key));
  const Decrypted decrypted = TRY(cipher.decrypt(ciphertext, aad, arena));
  return decrypted.value.text;
}

Result<void> check_mac(const OpenedFile& file, SecureArena& arena) {
  Mac mac(file.metadata.mac_only_encrypted);
  for (size_t i = 0; i < file.values.size(); ++i) {
    const LeafValue& value = file.values[i];
    if (!value.is_comment && value.value.type != ScalarType::kNull)
      mac.add(value.value.text, file.walk.leaves[i].selected);
  }
  const std::string computed = mac.finish();
  if (file.metadata.mac.empty()) {
    return fail(ErrorCode::kAuthFailed, "MAC mismatch: the file has no MAC")
        .hint("the sops block lost its mac entry; --ignore-mac decrypts without this protection")
        .exit(ExitStatus::kMacMismatch);
  }
  const auto stored = decrypt_entry(*file.key, file.metadata.mac, normalized_lastmodified(file.metadata), arena);
  if (!stored) {
    return fail(ErrorCode::kAuthFailed, "cannot decrypt the MAC: {}", stored.error().message)
        .hint("mac or lastmodified was changed, perhaps by a merge; --ignore-mac decrypts without this protection")
        .exit(ExitStatus::kMacMismatch);
  }
  if (!ct_equal(as_bytes(*stored), as_bytes(computed))) {
    return fail(ErrorCode::kAuthFailed,
                "MAC mismatch: values were added, removed, reordered or changed after encryption")
        .hint("compare with an earlier version of the file; --ignore-mac decrypts without this protection")
        .exit(ExitStatus::kMacMismatch);
  }
  return {};
}

}  // namespace

namespace {

Result<Selector> selector_of(const OpenedFile& file) {
  return Selector::compile(file.format->selects_values ? file.metadata.selection : SelectionSettings{},
                           Selector::Strictness::kLenient);
}

// keys.md 1.4: a recovered key counts if it opens the MAC.
Result<void> check_key(const OpenedFile& file, const DataKey& key, SecureArena& arena) {
  if (decrypt_entry(key, file.metadata.mac, normalized_lastmodified(file.metadata), arena)) return {};
  return fail(ErrorCode::kAuthFailed, "the key gives another data key than the one of this file");
}

// True if one of the encrypted values opens, or if there is none.
Result<bool> opens_a_value(const OpenedFile& file, const DataKey& key) {
  const Selector selector = TRY(selector_of(file));
  const Walk all = TRY(walk(file.document, selector, ExitStatus::kCannotDecryptTree));
  ValueCipher cipher = TRY(ValueCipher::create(key));
  SecureArena arena;
  std::string aad;
  bool is_encrypted = false;
  for (const Leaf& leaf : all.leaves) {
    const std::string_view text = file.document.node(leaf.node).text;
    if (leaf.is_comment || !parse_ciphertext(text)) continue;
    is_encrypted = true;
    all.aad(file.document, leaf, aad);
    if (cipher.decrypt(text, aad, arena)) return true;
  }
  return !is_encrypted;
}

}  // namespace

Result<OpenedFile> read_encrypted(std::string_view text, const FormatType& format) {
  OpenedFile file;
  file.format = &format;
  auto document = format.scan(text, ScanMode::kEncrypted);
  // A file that is no encrypted one is a generic failure, also where it is empty (cli.md 3.8).
  if (!document && document.error().exit_status == ExitStatus::kNoDocument)
    document.error().exit_status = ExitStatus::kGeneric;
  file.document = TRY(std::move(document));
  file.warnings = file.document.warnings;
  const Value tree = TRY(format.read_metadata(file.document));
  file.metadata = TRY(in_context(parse_metadata(tree), "metadata"));
  return file;
}

Result<RecoveredKey> recover_file_key(OpenedFile& file, const RecoverOptions& options, Services& services) {
  SecureArena arena;
  const KeyCheck check = [&](const DataKey& key) { return check_key(file, key, arena); };
  RecoveredKey recovered = TRY(recover_shares(file.metadata, options, check, services));
  if (check_key(file, recovered.key, arena)) return recovered;
  const bool is_right = TRY(opens_a_value(file, recovered.key));
  if (!is_right) {
    return fail(ErrorCode::kUnavailable, "the data key that the master keys give opens neither the MAC nor a value")
        .hint("the keys in the sops block belong to another file; restore it from an earlier version")
        .exit(ExitStatus::kNoDataKey);
  }
  file.warnings.push_back("the MAC of the file is missing or damaged; it was left as it is");
  return recovered;
}

Result<OpenedFile> open_file(std::string_view text, const FormatType& format, const OpenOptions& options,
                             Services& services) {
  OpenedFile file = TRY(read_encrypted(text, format));
  TRY(check_version(file.metadata));

  // The data key: the first that opens the MAC (keys.md 1.4).
  SecureArena arena;
  const KeyCheck check = [&](const DataKey& key) -> Result<void> {
    if (options.ignore_mac || file.metadata.mac.empty()) return {};
    return check_key(file, key, arena);
  };
  if (options.known_key != nullptr && !file.metadata.mac.empty() &&
      decrypt_entry(*options.known_key, file.metadata.mac, normalized_lastmodified(file.metadata), arena)) {
    file.key = options.known_key->clone();
  } else {
    file.key = TRY(recover_data_key(file.metadata, options.keys, check, services));
  }

  // The values, then the MAC over them.
  const Selector selector = TRY(selector_of(file));
  file.walk = TRY(walk(file.document, selector, ExitStatus::kCannotDecryptTree));
  TRY(decrypt_leaves(file.document, file.walk, *file.key, file.values, file.storage, file.warnings));
  auto verified = check_mac(file, arena);
  if (!verified && !options.ignore_mac) return fail(std::move(verified.error()));

  // Our own extension; anything wrong with it costs the author's spelling and nothing else.
  if (!file.metadata.layout.empty()) {
    const auto layout =
        decrypt_entry(*file.key, file.metadata.layout, "sops:layout:" + file.metadata.lastmodified, arena);
    if (layout) {
      file.layout = SecureBytes::copy_of(*layout);
    } else {
      file.warnings.push_back("the layout hints of the file do not belong to it; values are spelled as SOPS would");
    }
  }
  return file;
}

namespace {

// Hints by the beginning of the tag they are bound to.
class HintTable {
 public:
  explicit HintTable(const std::vector<DecodedHint>& hints) {
    for (const DecodedHint& hint : hints) {
      if (hint.whole) continue;
      by_prefix_.emplace(hint.prefix, &hint);
    }
  }
  bool any_for_containers() const {
    return std::any_of(by_prefix_.begin(), by_prefix_.end(),
                       [](const auto& hint) { return hint.second->levels_up > 0; });
  }
  // The hint for a leaf with this ciphertext, nullptr if there is none.
  const DecodedHint* find(std::string_view ciphertext) const {
    if (by_prefix_.empty()) return nullptr;
    const auto fields = parse_ciphertext(ciphertext);
    if (!fields) return nullptr;
    const auto it = by_prefix_.find(tag_bytes(fields->tag).substr(0, kTagPrefix));
    return it == by_prefix_.end() ? nullptr : it->second;
  }

 private:
  std::unordered_multimap<std::string_view, const DecodedHint*, std::hash<std::string_view>, std::equal_to<>>
      by_prefix_;
};

// The number 5.0 is spelled 5 and then read as an integer, and bytes are read as a text; neither changes the value.
bool same_when_read(ScalarType decrypted, ScalarType read) {
  return read == decrypted || (decrypted == ScalarType::kFloat && read == ScalarType::kInt) ||
         (decrypted == ScalarType::kBytes && read == ScalarType::kString);
}

// Scans `candidate` and compares every value with what was decrypted.
bool holds_same_values(const FormatType& format, std::string_view candidate, const Document& document, const Walk& plan,
                       const std::vector<LeafValue>& values) {
  const auto scanned = format.scan(candidate, ScanMode::kEncrypted);
  if (!scanned) return false;
  const auto everything = Selector::compile({}, Selector::Strictness::kStrict);
  const auto found = walk(*scanned, *everything, ExitStatus::kGeneric);
  if (!found) return false;
  // Values strictly in order; of comments only that each is there, because those at the end of the text may change
  // their container and so their order when the metadata is gone (yaml.md 1.6).
  std::vector<size_t> plan_values, plan_comments, found_values, found_comments;
  for (size_t i = 0; i < values.size(); ++i) (values[i].is_comment ? plan_comments : plan_values).push_back(i);
  for (size_t i = 0; i < found->leaves.size(); ++i) {
    (found->leaves[i].is_comment ? found_comments : found_values).push_back(i);
  }
  if (plan_values.size() != found_values.size() || plan_comments.size() != found_comments.size()) return false;
  std::string a, b;
  for (size_t i = 0; i < plan_values.size(); ++i) {
    const Leaf& leaf = found->leaves[found_values[i]];
    const Node& node = scanned->node(leaf.node);
    const TypedText& expected = values[plan_values[i]].value;
    if (!same_when_read(expected.type, node.type) || node.text != expected.text) return false;
    plan.aad(document, plan.leaves[plan_values[i]], a);
    found->aad(*scanned, leaf, b);
    if (a != b || leaf.branch != plan.leaves[plan_values[i]].branch) return false;
  }
  std::vector<std::string_view> expected_texts, found_texts;
  for (size_t i = 0; i < plan_comments.size(); ++i) {
    expected_texts.push_back(values[plan_comments[i]].value.text);
    found_texts.push_back(scanned->node(found->leaves[found_comments[i]].node).text);
  }
  std::sort(expected_texts.begin(), expected_texts.end());
  std::sort(found_texts.begin(), found_texts.end());
  return expected_texts == found_texts;
}

// Edits for the decrypted leaves [begin, end) that stand in the text itself (not in an alias's copy).
Result<EditList> render_piece(const FormatType& format, const Document& document, const Walk& walk,
                              const std::vector<LeafValue>& values, const HintTable* hints, size_t begin, size_t end) {
  EditList edits;
  SecureBuffer spelled;
  NodeId skip_until = 0;  // leaves before it lie in a container that a hint replaced
  for (size_t i = begin; i < end; ++i) {
    const Leaf& leaf = walk.leaves[i];
    const LeafValue& value = values[i];
    if (!value.was_encrypted || leaf.alias != kNoNode || leaf.node < skip_until) continue;
    const DecodedHint* hint = hints != nullptr ? hints->find(document.node(leaf.node).text) : nullptr;
    if (hint != nullptr && hint->levels_up > 0) {
      NodeId container = leaf.node;
      for (uint32_t up = 0; up < hint->levels_up && container != kNoNode; ++up)
        container = document.node(container).parent;
      if (container != kNoNode && document.node(container).parent != kNoNode) {
        edits.add_borrowed(document.node(container).span, hint->original);
        skip_until = document.node(container).next;
        continue;
      }
      hint = nullptr;
    }
    const Span span = format.spell(document, leaf.node, value.value, value.is_comment, spelled);
    if (spelled.size() == 0 && value.value.type == ScalarType::kFloat) {  // format.md 6.2.8: JSON has no infinities
      Error error = fail(ErrorCode::kUnsupported, "{} cannot hold the number {}", format.id, value.value.text)
                        .hint("decrypt to YAML: --output-type yaml")
                        .at(position_at(document.text, document.node(leaf.node).span.begin))
                        .exit(ExitStatus::kCannotSerialize)
                        .error();
      error.context.push_back(describe_place(document, walk, leaf));
      return fail(std::move(error));
    }
    if (hint != nullptr) {
      edits.add_borrowed(span, hint->original);
    } else {
      edits.add(span, spelled.view());
    }
    spelled.clear();
  }
  return edits;
}

// Edits for every decrypted leaf that stands in the text itself (not in an alias's copy), then those that take the
// metadata out.
Result<EditList> render_edits(const FormatType& format, const Document& document, const Walk& walk,
                              const std::vector<LeafValue>& values, const HintTable* hints) {
  // A hint for a container reaches from one leaf to others, so these stay together.
  const size_t count = walk.leaves.size();
  const size_t grain = hints != nullptr && hints->any_for_containers() ? count : kLeavesPerPiece;
  std::vector<EditList> pieces(count == 0 ? 0 : (count + grain - 1) / grain);
  std::vector<std::optional<Error>> failures(pieces.size());
  parallel_for(count, grain, [&](size_t begin, size_t end) {
    auto piece = render_piece(format, document, walk, values, hints, begin, end);
    if (piece) {
      pieces[begin / grain] = std::move(*piece);
    } else {
      failures[begin / grain] = std::move(piece.error());
    }
  });
  EditList edits;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (failures[i]) return fail(std::move(*failures[i]));
    edits.append(std::move(pieces[i]));
  }
  EditList metadata = TRY(format.remove_metadata(document));
  edits.append(std::move(metadata));
  return edits;
}

Result<SecureBytes> render(const FormatType& format, const Document& document, const Walk& walk,
                           const std::vector<LeafValue>& values, const HintTable* hints) {
  const EditList edits = TRY(render_edits(format, document, walk, values, hints));
  return edits.apply(document.text);
}

}  // namespace

Result<SecureBytes> render_plain(const FormatType& format, const Document& document, const Walk& walk,
                                 const std::vector<LeafValue>& values, std::string_view layout, bool& hints_fit) {
  hints_fit = true;
  if (!layout.empty()) {
    hints_fit = false;
    const auto hints = decode_layout(layout);
    if (hints && hints->size() == 1 && hints->front().whole) {
      if (holds_same_values(format, hints->front().original, document, walk, values)) {
        hints_fit = true;
        return SecureBytes::copy_of(hints->front().original);
      }
    } else if (hints) {
      const HintTable table(*hints);
      auto candidate = render(format, document, walk, values, &table);
      if (candidate && holds_same_values(format, candidate->expose_text(), document, walk, values)) {
        hints_fit = true;
        return std::move(*candidate);
      }
    }
  }
  return render(format, document, walk, values, nullptr);
}

Result<SecureBytes> decrypted_text(OpenedFile& file) {
  if (file.format->wraps) {  // the one value is the whole file
    for (size_t i = 0; i < file.values.size(); ++i) {
      if (file.walk.leaves[i].entry != kNoNode && file.document.node(file.walk.leaves[i].entry).key == "data") {
        return SecureBytes::copy_of(file.values[i].value.text);
      }
    }
    return fail(ErrorCode::kUnsupported, "the file has no text entry 'data', so it is no encrypted binary file")
        .hint("name its format with --output-type, for example --input-type yaml --output-type yaml")
        .exit(ExitStatus::kCannotSerialize);
  }
  bool hints_fit = true;
  SecureBytes text =
      TRY(render_plain(*file.format, file.document, file.walk, file.values, file.layout.expose_text(), hints_fit));
  if (!hints_fit)
    file.warnings.push_back("the layout hints of the file do not fit it; values are spelled as SOPS would");
  return text;
}

Result<EditList> plain_edits(const OpenedFile& file) {
  const auto without_hints = [&] { return render_edits(*file.format, file.document, file.walk, file.values, nullptr); };
  if (file.layout.empty()) return without_hints();
  const auto hints = decode_layout(file.layout.expose_text());
  if (!hints) return without_hints();
  if (hints->size() == 1 && hints->front().whole) {
    return fail(ErrorCode::kUnsupported, "the plain text comes from a hint as a whole");
  }
  const HintTable table(*hints);
  EditList edits = TRY(render_edits(*file.format, file.document, file.walk, file.values, &table));
  const SecureBytes text = TRY(edits.apply(file.document.text));
  if (holds_same_values(*file.format, text.expose_text(), file.document, file.walk, file.values)) return edits;
  return without_hints();
}

Result<Value> decrypted_value(const OpenedFile& file) {
  // Leaves come in the order in which to_value() visits them, so the tree is filled from the front.
  const Branch& branch = file.document.branches.front();
  Value tree = TRY(to_value(file.document, branch.root));
  if (branch.metadata != kNoNode) {
    // The metadata entry is the first root entry with its key.
    const auto entry = std::find_if(tree.children.begin(), tree.children.end(), [](const Value& child) {
      return child.kind != ValueKind::kComment && child.key == "sops";
    });
    if (entry != tree.children.end()) tree.children.erase(entry);
  }
  size_t next = 0;
  std::vector<Value*> open = {&tree};
  // Depth first without recursion: children are pushed in reverse.
  while (!open.empty()) {
    Value* value = open.back();
    open.pop_back();
    if (value->kind == ValueKind::kMapping || value->kind == ValueKind::kSequence) {
      for (auto child = value->children.rbegin(); child != value->children.rend(); ++child) open.push_back(&*child);
      continue;
    }
    SOPS_CHECK(next < file.values.size(), "the walk and to_value() visit the same leaves");
    const LeafValue& leaf = file.values[next++];
    value->type = leaf.value.type;
    value->text = leaf.value.text;
    if (leaf.is_comment) value->kind = ValueKind::kComment;
  }
  return tree;
}

}  // namespace sops
