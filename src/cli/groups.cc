// SPDX-License-Identifier: MPL-2.0
//
// sops groups add, sops groups delete: the key groups of a file, without .sops.yaml (cli.md 6.4).
#include <array>
#include <charconv>

#include "base/path.h"
#include "cli/later.h"
#include "cli/rewrite.h"
#include "cli/settings.h"
#include "core/change_keys.h"
#include "core/update.h"

namespace sops::cli_groups {

namespace {

std::vector<FlagSpec> common() {
  return {{.name = "file",
           .short_name = "f",
           .kind = FlagKind::kString,
           .value_name = "FILE",
           .summary = "the file to change",
           .words = ValueWords::kFiles},
          {.name = "in-place", .short_name = "i", .summary = "write the result back to FILE"},
          {.name = "shamir-secret-sharing-threshold",
           .kind = FlagKind::kInt,
           .value_name = "N",
           .summary = "key groups needed to decrypt (default: as before, else all)"}};
}

// cli.md 2.3: repeatable, and without environment variables.
std::vector<FlagSpec> add_flags() {
  std::vector<FlagSpec> all = common();
  for (FlagSpec flag : key_flags()) {
    flag.kind = FlagKind::kList;
    flag.short_name.clear();
    flag.environment.clear();
    all.push_back(std::move(flag));
  }
  return all;
}

Result<MasterKeyList> new_group(CommandContext& context, MasterKeys& owner) {
  MasterKeyList group;
  for (const LaterKeySource& later : kLaterKeySources) {
    if (!context.args.text(later.flag).empty()) {
      return fail(ErrorCode::kUnsupported, "--{}: {} keys are not supported yet", later.flag, later.id)
          .hint("use SOPS for these keys");
    }
  }
  const KeyOptions options = key_options_or_warning(context);
  for (const KeySourceType* source : all_key_sources()) {
    for (const std::string& list : context.args.all(source->flag)) {
      MasterKeys keys = TRY(in_context(source->from_list(list, options), "--{}", source->flag));
      for (std::unique_ptr<MasterKey>& key : keys) {
        group.emplace_back(source, key.get());
        owner.push_back(std::move(key));
      }
    }
  }
  if (group.empty()) {
    return fail(ErrorCode::kUsage, "the new group has no keys").hint("name them, for example with --age age1…");
  }
  return group;
}

using ChangeGroups = std::function<Result<void>(std::vector<MasterKeyList>& groups, MasterKeys& owner)>;

// Reads the file, changes its groups, wraps the same data key for all of them. Exit statuses: cli.md 6.4.
Result<int> change_groups(CommandContext& context, const ChangeGroups& change) {
  const std::string word = context.args.text("file");
  if (word.empty()) {
    return fail(ErrorCode::kUsage, "no file is named").hint("name it with --file").exit(ExitStatus::kCannotReadInput);
  }
  Input input{.shown = escape_for_message(word)};
  input.path = absolute_path(word, context.services.environment.working_directory());
  input.effective = input.path;
  const FormatType* file_format = TRY(choose_format(context, "input-type", input.effective));
  const EmitStyle style = TRY(emit_style(context, *file_format));
  const int64_t threshold = context.args.number("shamir-secret-sharing-threshold").value_or(0);
  const Output output{.kind = context.args.flag("in-place") ? Output::Kind::kInPlace : Output::Kind::kStdout,
                      .path = input.path};

  TRY(require_local_keys(context));
  std::vector<std::string> warnings;
  const auto make = [&](const InputText& text) -> Result<std::optional<SecureBytes>> {
    OpenedFile file = TRY(read_encrypted(text.text(), *file_format));
    MasterKeys owner;
    std::vector<MasterKeyList> groups = TRY(master_keys_of(file.metadata, owner));
    TRY(change(groups, owner));
    const int64_t wanted = threshold != 0 ? threshold : file.metadata.shamir_threshold;
    if (wanted > static_cast<int64_t>(groups.size())) {
      return fail(ErrorCode::kUsage, "Shamir threshold impossible to satisfy: {} of {} key groups", wanted,
                  groups.size())
          .hint("choose another with --shamir-secret-sharing-threshold");
    }
    auto recovered = recover_file_key(file, OpenOptions().order, context.services);
    if (!recovered) {  // cli.md 6.4: no 128 here
      recovered.error().exit_status.reset();
      return fail(std::move(recovered.error()));
    }
    const Metadata metadata = TRY(change_keys(file, *recovered, groups, wanted, context.services));
    SecureBytes changed = TRY(replace_metadata(file, metadata, style));
    warnings = file.warnings;
    return std::optional(text.encode(std::move(changed)));
  };
  auto written = rewrite(context, input, *file_format, output, make);
  if (!written) {
    if (output.kind == Output::Kind::kInPlace && written.error().exit_status == ExitStatus::kCannotWriteOutput)
      written.error().exit_status.reset();
    return fail(std::move(written.error()));
  }
  print_warnings(context, input, warnings);
  return 0;
}

Result<int> run_add(CommandContext& context) {
  if (!context.args.positionals.empty()) {
    return fail(ErrorCode::kUsage, "groups add takes no words, but there is '{}'",
                escape_for_message(context.args.positionals[0]))
        .hint("name the file with --file");
  }
  return change_groups(context, [&](std::vector<MasterKeyList>& groups, MasterKeys& owner) -> Result<void> {
    MasterKeyList group = TRY(new_group(context, owner));
    groups.push_back(std::move(group));
    return {};
  });
}

Result<int> run_delete(CommandContext& context) {
  const std::vector<std::string>& words = context.args.positionals;
  if (words.size() != 1) {
    return fail(ErrorCode::kUsage, "groups delete takes the number of one group")
        .hint("the first group has the number 0");
  }
  const std::string& word = words[0];
  uint32_t index = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), index);
  if (word.empty() || error != std::errc() || end != word.data() + word.size()) {
    return fail(ErrorCode::kUsage, "'{}' is no number of a group", escape_for_message(word))
        .hint("the first group has the number 0");
  }
  return change_groups(context, [&](std::vector<MasterKeyList>& groups, MasterKeys&) -> Result<void> {
    if (index >= groups.size()) {
      return fail(ErrorCode::kUsage, "there is no group {}: the file has {}, and the first has the number 0", index,
                  groups.size());
    }
    if (groups.size() == 1) {
      return fail(ErrorCode::kUsage, "this is the only group: without it nobody could decrypt the file");
    }
    groups.erase(groups.begin() + index);
    return {};
  });
}

const CommandSpec add_command = {
    .name = "groups add",
    .arguments = "",
    .summary = "add a key group to a file",
    .manual =
        "The keys named by flags become one more group, and each group gets a fresh share of the data key, which "
        "itself "
        "stays the\n"
        "same. A file with one group needs both groups from then on; --shamir-secret-sharing-threshold says otherwise. "
        "The result\n"
        "goes to standard output; -i writes it back.",
    .flags = add_flags,
    .run = run_add,
};

const CommandSpec delete_command = {
    .name = "groups delete",
    .arguments = "NUMBER",
    .summary = "remove a key group from a file",
    .manual =
        "The groups that are left get fresh shares of the data key, which itself stays the same: sops rotate changes "
        "it. There must\n"
        "be as many groups as the threshold says. The result goes to standard output; -i writes it back.",
    .flags = common,
    .run = run_delete,
};

constexpr std::array<const CommandSpec*, 2> kChildren = {&add_command, &delete_command};

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "groups",
    .arguments = "add|delete",
    .summary = "change the key groups of a file",
    .manual =
        "With several key groups a file is decrypted with one key of each of them, or of as many as the threshold says "
        "(Shamir's\n"
        "secret sharing). Rules of .sops.yaml make such files with key_groups; these commands change one file.",
    .children = kChildren,
};

}  // namespace sops::cli_groups
