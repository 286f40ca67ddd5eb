# zsh completion of `kubectl certcourier` and `kubectl-certcourier`. Load kubectl's own completion first.

_certcourier() {
    local -a candidates
    local line directive candidate first=2
    [[ ${words[1]:t} == kubectl-certcourier ]] || first=3
    for line in "${(@f)$(kubectl-certcourier __complete "${(@Q)words[first,CURRENT]}" 2>/dev/null)}"; do
        case $line in
        :*) directive=${line#:} ;;
        *$'\t'*)
            candidate=${line%%$'\t'*}
            candidates+=("${candidate//:/\\:}:${line#*$'\t'}")
            ;;
        ?*) candidates+=("${line//:/\\:}") ;;
        esac
    done
    # Files are the shell's business.
    if [[ $directive == 0 ]]; then
        _files
    else
        _describe -t certcourier 'kubectl certcourier' candidates
    fi
}

_certcourier_kubectl() {
    if ((CURRENT > 2)) && [[ ${words[2]} == certcourier ]]; then
        _certcourier
    else
        $__certcourier_before "$@"
    fi
}

if [[ ${_comps[kubectl]} != _certcourier_kubectl ]]; then
    typeset -g __certcourier_before=${_comps[kubectl]:-_default}
fi
compdef _certcourier kubectl-certcourier
compdef _certcourier_kubectl kubectl
