// SPDX-License-Identifier: MPL-2.0
//
// sops completion bash|zsh|fish: the script that teaches a shell what may follow on a line (cli.md 6.12,
// editing.md 5.2). The scripts hold no table of their own: they ask this program (cli/complete.h), so they fit whatever
// version is installed. Two rules: candidates come from strangers' files, so nothing may evaluate them; and it is
// `sops` in PATH that is asked, never the word on the line, which may name a program in the working directory.
#include <array>

#include "cli/common.h"

namespace sops::cli_completion {

namespace {

// `printf %q` and the two loops below it quote for the place where bash puts the reply; compgen -W would run what is in
// there.
constexpr std::string_view kBash = R"script(
# bash completion for sops. To load it: source <(sops completion bash)
_sops() {
  local line="${COMP_LINE:0:COMP_POINT}" mode="" candidate reply char i
  COMPREPLY=()
  while IFS= read -r candidate; do
    if [[ -z "$mode" ]]; then
      mode="$candidate"
      # Where only the program knows what fits, an empty reply means that nothing does.
      [[ "$mode" == files ]] || compopt +o default +o bashdefault 2>/dev/null
      continue
    fi
    reply=""
    case "$mode" in
      'words none')
        printf -v reply '%q' "$candidate"
        ;;
      'words single')
        for ((i = 0; i < ${#candidate}; i++)); do
          char="${candidate:i:1}"
          case "$char" in
            "'") reply+="'\\''" ;;
            *) reply+="$char" ;;
          esac
        done
        ;;
      'words double')
        for ((i = 0; i < ${#candidate}; i++)); do
          char="${candidate:i:1}"
          case "$char" in
            '"' | '$' | '`' | '\') reply+="\\$char" ;;
            '!') reply+="\"'!'\"" ;;
            *) reply+="$char" ;;
          esac
        done
        ;;
      *) continue ;;
    esac
    COMPREPLY+=("$reply")
  done < <(command sops __complete bash -- "$line" "$2" 2>/dev/null)
}
complete -o bashdefault -o default -F _sops sops
)script";

// compadd quotes what it inserts; display texts are shown as they are.
constexpr std::string_view kZsh = R"script(
#compdef sops
# zsh completion for sops. To load it: source <(sops completion zsh), or write it to a file _sops in $fpath
_sops() {
  local mode="" line
  local -a typed candidates shown
  typed=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
  while IFS= read -r line; do
    if [[ -z "$mode" ]]; then
      mode="$line"
      continue
    fi
    candidates+=("${line%%$'\t'*}")
    if [[ "$line" == *$'\t'* ]]; then
      shown+=("${line%%$'\t'*}  -- ${line#*$'\t'}")
    else
      shown+=("$line")
    fi
  done < <(command sops __complete zsh -- "${(@)typed}" 2>/dev/null)
  if [[ "$mode" == files ]]; then
    [[ "$PREFIX" == -*=* ]] && compset -P '*='
    _files
    return
  fi
  compadd -l -d shown -a candidates
}
if [[ "$funcstack[1]" == _sops ]]; then
  _sops "$@"
else
  compdef _sops sops
fi
)script";

// fish quotes what it inserts.
constexpr std::string_view kFish = R"script(
# fish completion for sops. To load it: sops completion fish | source
function __sops_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    # Without the quotes, of which one may still be open.
    for quote in '' "'" '"'
        if set -l plain (string unescape -- "$current$quote")
            set current "$plain"
            break
        end
    end
    set -l answer (command sops __complete fish -- $typed[2..] "$current" 2>/dev/null)
    if test "$answer[1]" = files
        set -l parts (string match -r -- '^(-[^=]*=)(.*)$' "$current")
        if set -q parts[3]
            for path in (__fish_complete_path "$parts[3]")
                printf '%s%s\n' "$parts[2]" "$path"
            end
        else
            __fish_complete_path "$current"
        end
        return
    end
    set -q answer[2]; and printf '%s\n' $answer[2..]
end
complete -c sops -e
complete -c sops -f -k -a '(__sops_complete)'
)script";

std::vector<FlagSpec> flags() { return {}; }

Result<int> print(CommandContext& context, std::string_view script) {
  if (!context.args.positionals.empty()) {
    return fail(ErrorCode::kUsage, "'{}' is one word too many", escape_for_message(context.args.positionals[0]));
  }
  TRY(context.ui.data(script));
  return 0;
}

constexpr CommandSpec kForBash = {
    .name = "completion bash",
    .summary = "print the script for bash",
    .manual = "To load it now: source <(sops completion bash). For every session put that line into ~/.bashrc.",
    .flags = flags,
    .run = [](CommandContext& context) { return print(context, kBash); },
};
constexpr CommandSpec kForZsh = {
    .name = "completion zsh",
    .summary = "print the script for zsh",
    .manual =
        "To load it now: source <(sops completion zsh), behind compinit. For every session write it to a file _sops in "
        "a directory of\n"
        "$fpath.",
    .flags = flags,
    .run = [](CommandContext& context) { return print(context, kZsh.substr(1)); },  // `#compdef` must be its first line
};
constexpr CommandSpec kForFish = {
    .name = "completion fish",
    .summary = "print the script for fish",
    .manual =
        "To load it now: sops completion fish | source. For every session write it to "
        "~/.config/fish/completions/sops.fish.",
    .flags = flags,
    .run = [](CommandContext& context) { return print(context, kFish); },
};
constexpr std::array<const CommandSpec*, 3> kShells = {&kForBash, &kForZsh, &kForFish};

}  // namespace

extern const CommandSpec command;  // declared by commands.cc too: constants are private to their file otherwise
const CommandSpec command = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "print a script that completes commands, flags, files and key paths",
    .manual =
        "The script asks sops for candidates on TAB: commands, flags, formats, and for --extract the paths inside the "
        "file that is\n"
        "named before it. Only the names of keys are read, which are not encrypted: no key, no configuration, no "
        "network.",
    .children = kShells,
};

}  // namespace sops::cli_completion
