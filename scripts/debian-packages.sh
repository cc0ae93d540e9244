# Debian's packages without root and without changing the system: a private apt root. Sourced by fetch-peers and
# fetch-browser, which set `checkout`.
#
# PROMSCOUT_PEERS_DIR        where to unpack (default: .cache/peers in the checkout)
# PROMSCOUT_DEBIAN_MIRROR    a Debian mirror, when this machine's apt is not configured with one
# PROMSCOUT_DEBIAN_KEYRING   Debian's archive keys (default: /usr/share/keyrings/debian-archive-keyring.gpg)
# shellcheck shell=bash
peers=${PROMSCOUT_PEERS_DIR:-$checkout/.cache/peers}
keyring=${PROMSCOUT_DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}

say() { printf 'peers: %s\n' "$*"; }

die() {
    printf 'peers: error: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf 'peers: %s\n' "$@" >&2
    exit 1
}

mirror() {
    if [ -n "${PROMSCOUT_DEBIAN_MIRROR:-}" ]; then
        echo "${PROMSCOUT_DEBIAN_MIRROR%/}/"
        return
    fi
    # The label is known only after an `apt-get update`; the path tells as well and leaves the security archive out.
    apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 2>/dev/null |
        awk -F'|' '($1 == "Debian" || $2 ~ /\/debian\/$/) && !found++ { print $2 }' || true
}

# A private apt root for one suite. `-c` is read after the machine's own apt.conf: its proxy settings stay in force,
# its hooks and preferences do not.
prepare() {
    local suite=$1 root=$work/apt-$1 uri
    [ ! -e "$root/ready" ] || return 0
    command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
        die "the peers come from Debian's packages, and this machine has no apt-get and dpkg." \
            "Put the programs (or links to them) into a directory's bin/ and set PROMSCOUT_PEERS_DIR to that directory."
    uri=$(mirror)
    [ -n "$uri" ] ||
        die "the peers come from Debian's packages, and this machine's apt is configured with no Debian mirror." \
            "Name one: PROMSCOUT_DEBIAN_MIRROR=http://…/debian make peers"
    [ -r "$keyring" ] ||
        die "Debian's archive keys are not in $keyring." \
            "Install the package debian-archive-keyring, or set PROMSCOUT_DEBIAN_KEYRING."
    mkdir -p "$root/state/lists/partial" "$root/cache/archives/partial"
    echo "deb [signed-by=$keyring] $uri $suite main" >"$root/sources.list"
    cat >"$root/apt.conf" <<CONF
Dir::Etc::sourcelist "$root/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$root/state";
Dir::State::status "/dev/null";
Dir::Cache "$root/cache";
Acquire::Languages "none";
APT::Update::Error-Mode "any";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    say "reading Debian $suite's package list …"
    quietly apt-get -c "$root/apt.conf" update ||
        die "cannot read Debian $suite's package list from ${uri} (see above)."
    touch "$root/ready"
}

# Shows a command's output only if it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        return 1
    }
}

# True for a directory of the user's own, without packages/: it is taken as it is.
is_own() {
    [ -n "${PROMSCOUT_PEERS_DIR:-}" ] && [ -d "$peers/bin" ] && [ ! -e "$peers/packages" ]
}

# Sets `work` to an empty directory that is removed at the end, once nobody else unpacks here.
lock() {
    mkdir -p "$peers/bin" "$peers/packages"
    exec 9>"$peers/.lock"
    flock --nonblock 9 || say "waiting for another fetch …"
    flock --timeout 600 9 || die "another fetch holds $peers/.lock for more than ten minutes."
    rm -rf "$peers"/.work.*  # left by a run that was killed; the lock says that nobody uses them
    work=$(mktemp -d "$peers/.work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}
