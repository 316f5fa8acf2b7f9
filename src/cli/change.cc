// SPDX-License-Identifier: MPL-2.0
#include "cli/change.h"

#include <algorithm>

#include "base/decimal.h"
#include "base/path.h"
#include "cli/rewrite.h"
#include "cli/settings.h"
#include "core/change.h"
#include "core/update.h"
#include "formats/json/json.h"

namespace sops {

namespace {

Failure bad_value(std::string_view what, std::string_view hint) {
  return fail(ErrorCode::kUsage, "{}", what).hint(std::string(hint)).exit(ExitStatus::kBadSetFormat);
}

// The digits of a decimal literal without zeros at either end, and where the point is: 0.ddd times ten to `point`.
struct DecimalDigits {
  std::string digits;
  int64_t point = 0;
  bool operator==(const DecimalDigits&) const = default;
};

DecimalDigits digits_of(std::string_view literal) {
  DecimalDigits result;
  bool seen_point = false;
  size_t at = literal.starts_with('-') ? 1 : 0;
  for (; at < literal.size() && literal[at] != 'e' && literal[at] != 'E'; ++at) {
    if (literal[at] == '.') {
      seen_point = true;
      continue;
    }
    if (!seen_point) ++result.point;
    if (result.digits.empty() && literal[at] == '0') {
      --result.point;
      continue;
    }
    result.digits += literal[at];
  }
  if (at < literal.size()) result.point += std::strtoll(std::string(literal.substr(at + 1)).c_str(), nullptr, 10);
  while (result.digits.ends_with('0')) result.digits.pop_back();
  if (result.digits.empty()) result.point = 0;
  return result;
}

// True if the double that is read from `literal` is written with the digits of `literal`.
bool is_exact(std::string_view literal, double value) {
  const ShortestDecimal shortest = shortest_decimal(value);
  DecimalDigits found{.digits = std::string(shortest.slice(0, shortest.count)), .point = shortest.point};
  while (found.digits.ends_with('0')) found.digits.pop_back();
  if (found.digits.empty()) found.point = 0;
  return found == digits_of(literal);
}

// editing.md 1.4. The numbers of an object stay integers where they can be, as in SOPS (cli.md 5.2).
Result<void> check_numbers(Document& document, SecureArena& arena) {
  for (NodeId id = 0; id < document.nodes.size(); ++id) {
    Node& node = document.nodes[id];
    if (node.kind != NodeKind::kScalar || (node.type != ScalarType::kInt && node.type != ScalarType::kFloat)) continue;
    const std::string_view literal = document.slice(node.span);
    const auto number = parse_decimal_literal(literal);
    const bool exact = number && is_exact(literal, *number);
    if (node.type == ScalarType::kFloat && !exact) {
      return bad_value("the number has more digits than a file can hold",
                       "put it in quotes to keep it as text, or write fewer digits");
    }
    if (node.type == ScalarType::kInt && id == 0 && exact) {
      node.type = ScalarType::kFloat;
      node.text = arena.store(canonical_float_text(*number).view());
    }
  }
  return {};
}

}  // namespace

Result<JsonValue> JsonValue::parse(SecureBytes text) {
  constexpr std::string_view kHint =
      "a text needs its JSON quotes, which the shell must not take away: '\"text\"'; numbers, true, false, null and "
      "{\"key\": …} are written as they are";
  JsonValue result;
  result.text_ = std::move(text);
  auto document = json::scan_value(result.text_.expose_text());
  if (!document) return bad_value("the value is not valid JSON: " + document.error().message, kHint);
  result.document_ = std::move(*document);
  if (result.document_.node(0).kind == NodeKind::kSequence) {
    return bad_value("a list cannot be set as a whole",
                     "set an object that holds it, or its items one by one: '[\"list\"][0]'");
  }
  TRY(check_numbers(result.document_, result.arena_));
  result.value_ = TRY(to_value(result.document_, 0));
  return result;
}

Result<TreePath> parse_index(std::string_view text) {
  auto path = parse_tree_path(text);
  if (path) return path;
  Error error = std::move(path.error());
  error.exit_status = ExitStatus::kBadSetFormat;
  return fail(std::move(error));
}

std::vector<FlagSpec> change_flags() {
  std::vector<FlagSpec> all = decrypt_flags();
  all.push_back(threshold_flag());
  for (FlagSpec& flag : type_flags()) {
    if (flag.name != "filename-override") all.push_back(std::move(flag));
  }
  return all;
}

namespace {

// One attempt. nullopt: nothing is to be written.
Result<std::optional<SecureBytes>> changed_bytes(CommandContext& context, const ChangeRequest& request,
                                                 const Input& input, const InputText& text, const EmitStyle& style) {
  const FormatType& format = *text.format;
  OpenedFile file = TRY(open_input(context, input, text));
  const SecureBytes plain = TRY(decrypted_text(file));

  ChangedText changed;
  bool is_equal = false;
  const Value tree = TRY(decrypted_value(file));
  TreePath path = request.path;
  if (std::ranges::any_of(path, [](const PathComponent& c) { return std::holds_alternative<int64_t>(c); })) {
    const Document document = TRY(format.scan(plain.expose_text(), ScanMode::kEncrypted));
    path = TRY(path_in_plain(tree, document, path));
  }
  if (request.value != nullptr) {
    const auto old = request.path.empty() ? fail(ErrorCode::kNotFound, "no path") : find_value(tree, request.path);
    is_equal = old && same_tree(**old, *request.value);
    if (is_equal && request.is_idempotent) return std::optional<SecureBytes>();
  }
  if (is_equal) {
    changed.text = plain.clone();  // SOPS writes the file again (cli.md 5.4)
  } else if (request.value != nullptr) {
    changed = TRY(set_value(format, plain.expose_text(), path, *request.value, style));
  } else {
    auto result = unset_value(format, plain.expose_text(), path, style);
    if (!result && result.error().code == ErrorCode::kNotFound && request.is_idempotent) {
      return std::optional<SecureBytes>();
    }
    changed = TRY(std::move(result));
  }

  UpdateOptions options;
  options.allow_plaintext = true;  // no alias is made here, and what the file shows it showed before
  options.style = style;
  options.whole_floats = changed.whole_floats;
  EncryptResult updated = TRY(update_text(file, changed.text.expose_text(), options, context.services));
  print_warnings(context, input, file.warnings);
  print_warnings(context, input, changed.warnings);
  return std::optional<SecureBytes>(text.encode(std::move(updated.text)));
}

}  // namespace

Result<int> change_file(CommandContext& context, const ChangeRequest& request) {
  Input input;
  input.shown = escape_for_message(request.file);
  input.path = absolute_path(request.file, context.services.environment.working_directory());
  input.effective = input.path;
  const FormatType* format = TRY(choose_format(context, "input-type", input.effective));
  const FormatType* output_format = TRY(choose_format(context, "output-type", input.effective));
  if (format != output_format) {
    return fail(ErrorCode::kUnsupported, "a file keeps its format: it cannot change from {} to {}", format->id,
                output_format->id)
        .hint("name the same format for --input-type and --output-type");
  }
  const EmitStyle style = TRY(emit_style(context, *format));
  TRY(parse_decryption_order(context.args.text("decryption-order")));
  if (context.args.flag("ignore-mac")) {  // editing.md 1.8
    context.ui.warning("--ignore-mac: the file gets a new MAC over what is found in it, right or wrong");
  }

  const Output output{.kind = Output::Kind::kInPlace, .path = input.path};
  TRY(rewrite(context, input, *format, output,
              [&](const InputText& text) { return changed_bytes(context, request, input, text, style); }));
  return 0;
}

}  // namespace sops
