#!/usr/bin/env bash
# Three servers as one chat: start a Redis and three servers, open two clients on different servers in tmux, and kill the
# server of one of them. The chat continues. Needs redis-server, tmux, and the cluster extra (see docs/cluster.md).
#
#     examples/three_servers.sh          watch, then type; Ctrl-B D ends it
#     examples/three_servers.sh --check  run by itself: exit code 0 if the chat continued
set -euo pipefail
cd "$(dirname "$0")/.."
python=.venv/bin/python
[ -x "$python" ] || python=python3
folder=$(mktemp -d)
pids=()
tmux=(tmux -S "$folder/tmux")
end() {
    "${tmux[@]}" kill-server 2> /dev/null || true
    kill "${pids[@]}" 2> /dev/null || true
    wait
    rm -rf "$folder"
}
trap end EXIT

start() { # NAME COMMAND…: run it in the background, with its output in a file
    local name=$1
    shift
    "$@" > "$folder/$name" 2>&1 &
    pids+=($!)
}
wait_for() { # FILE TEXT
    for _ in $(seq 100); do
        grep -q "$2" "$1" 2> /dev/null && return
        sleep 0.1
    done
    echo "no '$2' in $1:" >&2
    cat "$1" >&2
    exit 1
}
wait_for_screen() { # PANE TEXT
    for _ in $(seq 300); do
        "${tmux[@]}" capture-pane -p -t "$1" | grep -q "$2" && return
        sleep 0.1
    done
    echo "no '$2' on the screen of $1:" >&2
    "${tmux[@]}" capture-pane -p -t "$1" >&2
    exit 1
}
say() { "${tmux[@]}" send-keys -t "$1" -l "$2" && "${tmux[@]}" send-keys -t "$1" Enter; }

port=$("$python" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
start redis redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --save '' --appendonly yes --appendfsync always
wait_for "$folder/redis" "Ready to accept"
addresses=()
for name in a b c; do
    start "$name" "$python" chat_server.py --port 0 --cluster "redis://127.0.0.1:$port/0" --log-file "$folder/$name.log"
    wait_for "$folder/$name" "listening on"
    addresses+=("$(sed -n 's/^listening on //p' "$folder/$name")")
done
a=${addresses[0]} b=${addresses[1]} c=${addresses[2]}

client() { # NAME ADDRESSES COLOR
    echo "$python chat_client.py $2 --name $1 --color $3 --config '$folder/$1' --log-file '$folder/$1.log'"
}
"${tmux[@]}" new-session -d -s chat -x 160 -y 24 "$(client alice "$a,$b,$c" teal)"
"${tmux[@]}" split-window -h -t chat "$(client bob "$b,$c,$a" orange)"
wait_for_screen chat.0 "lobby>"
wait_for_screen chat.1 "lobby>"
if [ "${1:-}" != --check ]; then
    "${tmux[@]}" display-message -t chat "in 8 s, the server of bob is killed" || true
    (
        sleep 8
        kill -KILL "${pids[2]}"
    ) &
    "${tmux[@]}" attach -t chat
    exit
fi
say chat.0 "hello from one server"
wait_for_screen chat.1 "alice: hello from one server"
{ kill -KILL "${pids[2]}" && wait "${pids[2]}"; } 2> /dev/null || true # bob's
say chat.0 "are you still there?"
say chat.1 "typed without a server"
wait_for_screen chat.0 "bob: typed without a server"
wait_for_screen chat.1 "alice: are you still there?"
"${tmux[@]}" capture-pane -p -t chat.0 | grep -q "bob left" && exit 1
"${tmux[@]}" capture-pane -p -t chat.0
"${tmux[@]}" capture-pane -p -t chat.1
