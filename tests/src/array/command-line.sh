# The command line of an array: $1 is where it keeps its volumes. With a command of an exec it runs that one; without, it is a shell for people.
at=$1
session=$PPID

refuse() {
    echo "Error: $1"
    return 1
}

# What was asked for is done; whoever asked may not learn of it.
vanish_after() {
    if [ -e "$at/vanish-$1" ]; then
        rm "$at/vanish-$1"
        kill -KILL "$session"
        exit 1
    fi
}

# The words of a line, without quotes around them.
answer() {
    echo "$1" >> "$at/told"
    set -- $(printf '%s' "$1" | tr -d "'")
    case "$1 $2" in
    "system show") printf 'system: array\ntotal-gib: 100\nfree-gib: 60\nfans: turning\nlamps: green\nuptime: 7 days\nowner: somebody\n' ;;
    "volume create")
        [ -e "$at/volumes/$3" ] && { refuse "a volume of this name exists"; return; }
        mkdir "$at/volumes/$3" && echo "$5" > "$at/volumes/$3/size" && : > "$at/volumes/$3/clients"
        vanish_after create
        echo "created $3" ;;
    "volume "*)
        volume=$at/volumes/$3
        [ -n "$3" ] && [ -e "$volume" ] || { refuse "no such volume"; return; }
        case "$2" in
        show)
            printf 'volume: %s\nstate: online\nlayout: wide\nlamps: green\n' "$3"
            echo "size-gib: $(cat "$volume/size")"
            sed 's/^/client: /' "$volume/clients" ;;
        delete) rm -r "$volume"; vanish_after delete; echo "deleted $3" ;;
        allow | deny)
            grep -v "^$4 " "$volume/clients" > "$volume/next"
            [ "$2" = allow ] && echo "$4 $5" >> "$volume/next"
            mv "$volume/next" "$volume/clients"
            vanish_after "$2"
            echo done ;;
        *) refuse "unknown command" ;;
        esac ;;
    *) refuse "unknown command" ;;
    esac
}

# Five rows a page; then a key, as at a real terminal.
page() {
    rows=0
    while IFS= read -r row; do
        if [ $rows -eq 5 ]; then
            printf -- '--More--'
            stty -icanon -echo min 1 < /dev/tty
            dd bs=1 count=1 < /dev/tty > /dev/null 2>&1
            stty icanon echo < /dev/tty
            rows=0
        fi
        printf '%s\n' "$row"
        rows=$((rows + 1))
    done
}

if [ -n "$SSH_ORIGINAL_COMMAND" ]; then
    said=$(answer "$SSH_ORIGINAL_COMMAND")
    code=$?
    [ $code -eq 0 ] && printf '%s\n' "$said" || printf '%s\n' "$said" >&2
    exit $code
fi
printf 'Welcome to the array.\nEverything you type is written down.\n'
while printf 'array> ' && read -r line; do
    [ -z "$line" ] || answer "$line" > "$at/said-$$"
    page < "$at/said-$$"
done
