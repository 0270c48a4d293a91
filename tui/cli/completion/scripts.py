r"""The completion scripts: each passes the words up to the cursor to `stitcher completion --words`, joined by \x1f.

The answer is a line with the kind of candidates (words, files or directories), then a line for each word: the word,
a tab and its description. The shells do not evaluate any of it.

They are not replaced by argcomplete because it needs the parsers of all verbs built before it looks at the line, and
its import alone makes each completion a fifth slower.
"""

BASH = r"""# bash completion of stitcher. Into ~/.bashrc: source <(stitcher completion bash)
_stitcher() {
    local -a words=()
    local word description kind i joined= raw=${COMP_WORDS[COMP_CWORD]} current line prefix=
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # bash splits words at : and =, which are part of our words
        if [[ $joined || $word =~ ^[:=]+$ ]] && ((${#words[@]})); then
            words[${#words[@]} - 1]+=$word
            [[ $word =~ ^[:=]+$ ]] && joined=1 || joined=
        else
            words+=("$word")
        fi
    done
    current=${words[${#words[@]} - 1]}
    if [[ $raw == [\"\']* ]]; then
        current=${current#[\"\']} # inside quotes nothing is split
        words[${#words[@]} - 1]=$current
    elif [[ $current == *[:=]* && $COMP_WORDBREAKS == *:* ]]; then
        prefix=${current%"${current##*[:=]}"}
    fi
    line=$(IFS=$'\x1f'; printf %s "${words[*]}")
    COMPREPLY=()
    {
        read -r kind
        while IFS=$'\t' read -r word description; do
            COMPREPLY+=("${word#"$prefix"}")
            [[ $word == *[:=] ]] && compopt -o nospace 2>/dev/null
        done
    } < <("${1:-stitcher}" completion --words="$line" 2>/dev/null)
    case $kind in
        files) mapfile -t COMPREPLY < <(compgen -f -- "${current#"$prefix"}") ;;
        directories) mapfile -t COMPREPLY < <(compgen -d -- "${current#"$prefix"}") ;;
        *) return 0 ;;
    esac
    compopt -o filenames 2>/dev/null
    return 0
}
complete -F _stitcher stitcher
"""

ZSH = r"""#compdef stitcher
# zsh completion of stitcher. Into a directory of $fpath, as _stitcher; or into ~/.zshrc, after compinit:
# source <(stitcher completion zsh)
_stitcher() {
    local -a lines closed open closed_display open_display
    local line word description kind
    local -a before=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    lines=("${(@f)$(stitcher completion --words="${(pj:\x1f:)before}" 2>/dev/null)}")
    kind=$lines[1]
    case $kind in
        files) _files; return ;;
        directories) _files -/; return ;;
    esac
    for line in "${(@)lines[2,-1]}"; do
        word=${line%%$'\t'*} description=${line#*$'\t'}
        [[ -n $word ]] || continue
        if [[ $word == *[:=] ]]; then
            open+=("$word") open_display+=("$word  $description")
        else
            closed+=("$word") closed_display+=("$word  $description")
        fi
    done
    (( $#closed )) && compadd -l -d closed_display -a closed
    (( $#open )) && compadd -l -S '' -d open_display -a open
    (( $#closed + $#open ))
}
if [[ $funcstack[1] == _stitcher ]]; then
    _stitcher "$@"
else
    compdef _stitcher stitcher
fi
"""

FISH = r"""# fish completion of stitcher. Into ~/.config/fish/completions/stitcher.fish,
# or: stitcher completion fish | source
function __stitcher_words
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    set -l bare (string trim --left --chars '"\'' -- "$current")
    set -l line (string join \x1f -- $words "$bare" | string collect)
    set -l lines (stitcher completion --words="$line" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current"
        case '*'
            set -e lines[1]
            printf '%s\n' $lines
    end
end
complete -c stitcher -f -a '(__stitcher_words)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
