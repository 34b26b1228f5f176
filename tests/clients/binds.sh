# binds.sh: paths of this machine at the same place in another root; sourced by environment.sh and run.sh.

# bind_into ROOT PATH…: in the mount namespace of whoever calls.
bind_into() {
    local root=$1 path
    shift
    for path in "$@"; do
        if [ -d "$path" ]; then
            mkdir -p "$root$path"
        else
            mkdir -p "$root${path%/*}" && { [ -e "$root$path" ] || : >"$root$path"; }
        fi && mount --rbind "$path" "$root$path" || return 1
    done
}

# in_root ROOT PATH… -- COMMAND…: runs it in that root, which has these paths of this machine meanwhile.
in_root() {
    local root=$1 paths=(/proc /dev)
    shift
    while [ "$1" != -- ]; do
        paths+=("$1")
        shift
    done
    shift
    (
        export -f bind_into
        # shellcheck disable=SC2016 # the inner shell's variables
        unshare --mount --propagation private bash -c '
            root=$1 count=$2
            shift 2
            bind_into "$root" "${@:1:count}" && shift "$count" && exec chroot "$root" "$@"' \
            bash "$root" "${#paths[@]}" "${paths[@]}" "$@"
    )
}
