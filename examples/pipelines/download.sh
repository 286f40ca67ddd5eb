# No tracing: a traced command shows the token.
set +x
set -eu
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A variable of the pipeline, or the token that Kubernetes mounts into a runner's pod.
token=${CERTCOURIER_TOKEN:-}
[ -n "$token" ] || token=$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)
echo "Authorization: Bearer $token" >"$work/header"

field() {
  awk -F'"' -v name="$1" '{ for (i = 1; i < NF; i++) if ($i == name) { print $(i + 2); exit } }' "$work/answer"
}
post() {
  curl -sS --max-time 120 -H @"$work/header" -H 'Content-Type: application/json' -d @"$1" -o "$2" -w '%{http_code}' "$CERTCOURIER_URL/api/v1/$3" >"$work/status"
  status=$(cat "$work/status")
}
refused() {
  echo "certcourier: $1 (HTTP $status): $(field error_description)" >&2
  exit 1
}

echo '{"format": "'"$CERTCOURIER_FORMAT"'", "reason": "'"$CERTCOURIER_REASON"'"}' >"$work/ask"
post "$work/ask" "$work/answer" "projects/$CERTCOURIER_PROJECT/certificates/$CERTCOURIER_CERTIFICATE/downloads"
if [ "$status" = 202 ]; then
  echo "certcourier: people have to approve request $(field request) first; a pipeline does not wait for people" >&2
  exit 1
fi
[ "$status" = 201 ] || refused "asking for $CERTCOURIER_FORMAT of $CERTCOURIER_CERTIFICATE was refused"

echo '{"token": "'"$(field token)"'"}' >"$work/use"
echo "certcourier: request $(field request) delivers $CERTCOURIER_FILE"
post "$work/use" "$work/file" downloads
if [ "$status" != 200 ]; then
  mv "$work/file" "$work/answer"
  refused "the token was refused"
fi
mv "$work/file" "$CERTCOURIER_FILE"
