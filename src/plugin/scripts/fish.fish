# fish completion of `kubectl certcourier` and `kubectl-certcourier`.

function __certcourier_here
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = certcourier
end

function __certcourier
    set -l words (commandline -opc)
    set -l behind $words[2..-1]
    if __certcourier_here
        set behind $words[3..-1]
    end
    set -l found (kubectl-certcourier __complete $behind (commandline -ct) 2>/dev/null)
    test (count $found) -ge 1; or return
    if test $found[-1] = ':0'
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $found[1..-2]
    end
end

complete -c kubectl-certcourier -f -a '(__certcourier)'
complete -c kubectl -n __certcourier_here -f -a '(__certcourier)'
