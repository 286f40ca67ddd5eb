#!/usr/bin/env bash
# `make dev`: the same stage as for the demo, which runs until Ctrl-C. Writes .dev/env for your shell, and .dev/files to
# download into. CERTCOURIER_DEV names another folder than .dev.
set -uo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
dev=${CERTCOURIER_DEV:-$here/.dev}

# Called without a word it starts the control plane, with itself inside.
if [ "${1:-}" != inside ]; then
    (umask 077 && mkdir -p "$dev") || exit 1
    echo "starting the control plane (etcd, kube-apiserver, kube-controller-manager) ..."
    exec "$here/demo/alone.py" "$dev/lock" "$here/target/debug/test-cluster" run --apply "$here/crds" -- "$0" inside
fi

# shellcheck source=demo/stage.sh
. "$here/demo/stage.sh"

# Nothing is left: the files are of no use without the stage, and some are keys.
clear_away() { rm -rf "$dev/env" "$dev/bin" "$dev/files"; }
trap 'ended=$?; trap "" INT TERM HUP; clear_away; strike "$ended"' EXIT
# It was told to end, so this is not a failure.
trap 'trap "" INT TERM HUP; exit 0' INT TERM HUP

say() { echo "$*"; }
everyone=(alice bob frank carol dave erin mallory)

# What docs/*.md use, in bash and in zsh. A test finds each variable of their blocks here or on the page.
write_env() {
    local person file
    cat <<ENV
export PATH='$dev/bin':"\$PATH"
export CERTCOURIER_SERVER='$url' CERTCOURIER_SERVER_CA='$work/ca.crt' CURL_CA_BUNDLE='$work/ca.crt'
export no_proxy="127.0.0.1\${no_proxy:+,\$no_proxy}" NO_PROXY="127.0.0.1\${NO_PROXY:+,\$NO_PROXY}"
export U='$url' P='$namespace' C='api'
iam() {
    case "\${1:-}" in
ENV
    for person in "${everyone[@]}"; do
        file=$people/$person.kubeconfig
        echo "    $person) export KUBECONFIG='$file' T='$("$KUBECTL" config view --raw --kubeconfig "$file" -o 'jsonpath={.users[0].user.token}')' ;;"
    done
    cat <<ENV
    admin) export KUBECONFIG='$KUBECONFIG'; unset T ;;
    *) echo "iam: there is only ${everyone[*]}, and admin" >&2; return 1 ;;
    esac
}
iam admin
ENV
}

say "preparing certcourier:"
set_the_stage || exit 1
as dave apply -f "$here/examples/00-certificate.yaml" >/dev/null || exit 1

# Everyone starts in the namespace of the story. A flag does not work: kubectl accepts none before a plugin's name.
for file in "$KUBECONFIG" "$people"/*.kubeconfig; do
    "$KUBECTL" config set-context --current --namespace="$namespace" --kubeconfig "$file" >/dev/null || exit 1
done

clear_away
mkdir -p "$dev/bin" "$dev/files" && ln -s "$here/examples" "$dev/files/examples" || exit 1
# kubectl finds the plugin, and its completion, by these names on PATH.
ln -s "$KUBECTL" "$dev/bin/kubectl" && ln -s "$plugin" "$dev/bin/kubectl-certcourier" &&
    ln -s "$plugin" "$dev/bin/kubectl_complete-certcourier" || exit 1
(umask 077 && write_env >"$dev/env") || exit 1
cat <<EOF_READY
certcourier is running. In another shell:
  . .dev/env
  cd .dev/files
  iam carol; kubectl certcourier list
People: alice (operator), bob and frank (approvers), carol (downloader), dave (admin), erin (auditor), mallory (no rights).
Web page: $url/ui/     Sign in with what \`echo \$TOKEN_CAROL\` prints.
Server: $url     Logs: $work/controller.log, $work/server.log
docs/quickstart.md goes on from here. Ctrl-C stops everything and deletes .dev/env and .dev/files.
EOF_READY
wait
