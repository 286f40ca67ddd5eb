# bash completion of `kubectl certcourier` and `kubectl-certcourier`. Load kubectl's own completion first.

# The words up to the cursor into `words`, the last one unfinished; bash's breaks at = and : are undone.
__certcourier_words() {
    local line=${COMP_LINE:0:COMP_POINT} word blank i
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        blank=${line%%[![:space:]]*}
        line=${line#"$blank"}
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then word=$line; fi
        if [[ -n $blank || $i -eq 0 ]]; then
            words+=("$word")
        else
            words[${#words[@]} - 1]+=$word
        fi
        line=${line#"$word"}
    done
}

__certcourier() {
    local words unfinished found line directive='' first=1
    __certcourier_words
    [[ ${words[0]##*/} == kubectl-certcourier ]] || first=2
    unfinished=${words[${#words[@]} - 1]}
    COMPREPLY=()
    found=$(kubectl-certcourier __complete "${words[@]:first}" 2>/dev/null) || return
    while IFS= read -r line; do
        case $line in
        :*) directive=${line#:} ;;
        ?*) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done <<<"$found"
    # Files are the shell's business.
    if [[ $directive == 0 ]]; then
        compopt -o default 2>/dev/null
        return
    fi
    compopt +o default 2>/dev/null
    # bash replaces only what is behind its last break.
    if [[ $unfinished == *=* && $COMP_WORDBREAKS == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${unfinished%"${unfinished##*=}"}"}")
    fi
}

__certcourier_kubectl() {
    if [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} == certcourier ]]; then
        __certcourier
    elif [[ -n $__certcourier_before ]]; then
        "$__certcourier_before" "$@"
    fi
}

if [[ $(complete -p kubectl 2>/dev/null) =~ \ -F\ ([^ ]+)\  && ${BASH_REMATCH[1]} != __certcourier_kubectl ]]; then
    __certcourier_before=${BASH_REMATCH[1]}
fi
complete -o default -F __certcourier kubectl-certcourier
complete -o default -F __certcourier_kubectl kubectl
