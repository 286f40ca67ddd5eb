#!/usr/bin/env bash
# `make dev`: the same stage as for the demo, which runs until Ctrl-C. Writes .dev/env for your shell.
set -uo pipefail
# shellcheck source=demo/stage.sh
. "$(dirname "$0")/stage.sh"

set_the_stage || exit 1
as dave apply -f "$here/examples/00-certificate.yaml" >/dev/null || exit 1

# Everyone starts in the namespace of the story. A flag does not work: kubectl accepts none before a plugin's name.
for file in "$KUBECONFIG" "$people"/*.kubeconfig; do
    "$KUBECTL" config set-context --current --namespace="$namespace" --kubeconfig "$file" >/dev/null || exit 1
done

mkdir -p "$here/.dev"
(
    umask 077
    {
        echo "export KUBECONFIG=$KUBECONFIG"
        echo "export KUBECTL=$KUBECTL"
        echo "export CERTCOURIER_URL=$url"
        echo "export CERTCOURIER_CA=$work/ca.crt"
        # For the kubectl plugin, which kubectl finds on PATH.
        echo "export PATH=$here/target/debug:\$PATH"
        echo "export CERTCOURIER_SERVER=$url CERTCOURIER_SERVER_CA=$work/ca.crt"
        echo "export NAMESPACE=$namespace"
        for person in alice bob frank carol dave erin mallory; do
            upper=$(tr '[:lower:]' '[:upper:]' <<<"$person")
            file=$people/$person.kubeconfig
            echo "export KUBECONFIG_$upper=$file"
            echo "export TOKEN_$upper=$("$KUBECTL" config view --raw --kubeconfig "$file" -o 'jsonpath={.users[0].user.token}')"
        done
        # For docs/quickstart.md: after `iam carol`, kubectl acts as carol.
        echo "iam() { export KUBECONFIG=$people/\$1.kubeconfig; }"
        echo 'kubectl() { "$KUBECTL" "$@"; }'
    } >"$here/.dev/env"
)
trap 'rm -f "$here/.dev/env"; strike' EXIT
cat <<EOF
certcourier is running. In another shell:
  . .dev/env
  iam carol; kubectl certcourier list
People: alice (operator), bob and frank (approvers), carol (downloader), dave (admin), erin (auditor), mallory (no rights).
Web page: $url/ui/     Sign in with what \`echo \$TOKEN_CAROL\` prints.
Server: $url     Logs: $work/controller.log, $work/server.log
docs/quickstart.md goes on from here. Ctrl-C stops everything.
EOF
wait
