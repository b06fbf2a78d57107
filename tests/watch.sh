#!/bin/sh
# Enrolls through `make watch`: the functions under cargo lambda watch, the embedded database beside them, called with curl.
set -eu
cd "$(dirname "$0")/.."

port=${WATCH_PORT:-9017}
api=http://127.0.0.1:$port/api/v1/auth/2fa
# Outside the project: a log that grows inside it makes cargo lambda build and start the functions for ever.
log=$(mktemp)
token=$(make -s token SUB=watcher)

make watch WATCH_PORT="$port" >"$log" 2>&1 &
watch=$!
stop() {
  kill "$watch" 2>/dev/null || true
  wait "$watch" 2>/dev/null || true
  rm -f "$log"
}
trap stop EXIT
trap "exit 1" INT TERM

fail() {
  echo "$1" >&2
  tail -n 40 "$log" >&2
  exit 1
}

# Until the emulator listens and each function has answered something: starting one means building it.
for endpoint in setup send-sms verify nowhere; do
  curl -s --max-time 300 --retry 300 --retry-delay 1 --retry-connrefused "$api/$endpoint/" >/dev/null || fail "no answer"
done

# call METHOD PATH BODY: the answer.
call() {
  curl -sS --max-time 60 -X "$1" "$api/$2" \
    -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d "$3" || fail "$1 $2: no answer"
}

expect() {
  case $2 in
    *"$1"*) echo "ok: $1" ;;
    *) fail "expected $1 in: $2" ;;
  esac
}

answer=$(call POST setup/ '{"method": "sms", "phone_number": "+12015550123"}')
expect '"phone_number_masked":"+1****0123"' "$answer"
code=$(echo "$answer" | grep -o 'use code: [0-9]*' | grep -o '[0-9]*$')
# Without its slash here, so that both spellings of a path are routed.
expect '"verified":true' "$(call POST verify "{\"code\": \"$code\"}")"
expect '"enabled":true' "$(call GET setup '')"
expect '"code":"rate_limited"' "$(call POST send-sms/ '{}')"
expect '"code":"not_found"' "$(call POST setup/below '{}')"
