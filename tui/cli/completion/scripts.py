r"""The scripts: each hands the words up to the cursor to `stitcher completion --words`, divided by \x1f.

The answer is a line with what is offered (words, files or directories), then a line a word: word, tab, what it is.
Nothing of it is evaluated by a shell.
"""

BASH = r"""# bash completion of stitcher. Into ~/.bashrc: source <(stitcher completion bash)
_stitcher() {
    local -a words=()
    local word what kind i glued= raw=${COMP_WORDS[COMP_CWORD]} whole line prefix=
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # bash divides at : and = what is one word of ours
        if [[ $glued || $word =~ ^[:=]+$ ]] && ((${#words[@]})); then
            words[${#words[@]} - 1]+=$word
            [[ $word =~ ^[:=]+$ ]] && glued=1 || glued=
        else
            words+=("$word")
        fi
    done
    whole=${words[${#words[@]} - 1]}
    if [[ $raw == [\"\']* ]]; then
        whole=${whole#[\"\']} # inside quotes nothing is divided
        words[${#words[@]} - 1]=$whole
    elif [[ $whole == *[:=]* && $COMP_WORDBREAKS == *:* ]]; then
        prefix=${whole%"${whole##*[:=]}"}
    fi
    line=$(IFS=$'\x1f'; printf %s "${words[*]}")
    COMPREPLY=()
    {
        read -r kind
        while IFS=$'\t' read -r word what; do
            COMPREPLY+=("${word#"$prefix"}")
            [[ $word == *[:=] ]] && compopt -o nospace 2>/dev/null
        done
    } < <("${1:-stitcher}" completion --words="$line" 2>/dev/null)
    case $kind in
        files) mapfile -t COMPREPLY < <(compgen -f -- "${whole#"$prefix"}") ;;
        directories) mapfile -t COMPREPLY < <(compgen -d -- "${whole#"$prefix"}") ;;
        *) return 0 ;;
    esac
    compopt -o filenames 2>/dev/null
    return 0
}
complete -F _stitcher stitcher
"""

ZSH = r"""#compdef stitcher
# zsh completion of stitcher. Into a directory of $fpath, as _stitcher; or into ~/.zshrc, behind compinit:
# source <(stitcher completion zsh)
_stitcher() {
    local -a lines whole open told told_open
    local line word what kind
    local -a before=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    lines=("${(@f)$(stitcher completion --words="${(pj:\x1f:)before}" 2>/dev/null)}")
    kind=$lines[1]
    case $kind in
        files) _files; return ;;
        directories) _files -/; return ;;
    esac
    for line in "${(@)lines[2,-1]}"; do
        word=${line%%$'\t'*} what=${line#*$'\t'}
        [[ -n $word ]] || continue
        if [[ $word == *[:=] ]]; then
            open+=("$word") told_open+=("$word  $what")
        else
            whole+=("$word") told+=("$word  $what")
        fi
    done
    (( $#whole )) && compadd -l -d told -a whole
    (( $#open )) && compadd -l -S '' -d told_open -a open
    (( $#whole + $#open ))
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
    set -l begun (commandline -ct)
    set -l bare (string trim --left --chars '"\'' -- "$begun")
    set -l line (string join \x1f -- $words "$bare" | string collect)
    set -l lines (stitcher completion --words="$line" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path "$begun"
        case directories
            __fish_complete_directories "$begun"
        case '*'
            set -e lines[1]
            printf '%s\n' $lines
    end
end
complete -c stitcher -f -a '(__stitcher_words)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
