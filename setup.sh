#!/bin/sh
# Makes a bare Debian 12 or 13 or Ubuntu 24.04 ready: installs the packages that are missing, then
# fills .venv.  Safe to run again and to kill; loads no kernel module.
# `sh setup.sh bench` adds the C compiler that `make bench` needs, `sh setup.sh test` the CNI
# plugins that tests compare with; both leave .venv alone.
set -eu
cd "$(dirname "$0")"
PATH=$PATH:/usr/sbin:/sbin
sudo=
[ "$(id -u)" = 0 ] || { [ -t 0 ] && sudo=sudo || sudo='sudo -n'; }

say() { printf 'setup: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

check_folder() {
    # Root may have been here before, or the folder may be mounted read-only.
    for place in . .venv testbed.egg-info; do
        [ ! -e $place ] || [ -w $place ] ||
            fail "$(id -un) may not write to $(realpath $place): another user's, or read-only"
    done
    # pip gives its programs a line of sh that says where they are, in double quotes.
    case $(pwd -P) in
        *[\"\$\`\\]*) fail "the name of this folder may have no \", \$, \` or \\: $(pwd -P)" ;;
    esac
}
[ -n "${1-}" ] || check_folder

# Debian's python3 first: other users, root included, can always run it.
wanted='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
find_python() {
    for python in /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        "$python" -c "$wanted" 2>/dev/null && return
    done
    return 1
}

missing=
for pair in ip:iproute2 iptables-nft:iptables nft:nftables ping:iputils-ping curl:curl \
    haproxy:haproxy dnsmasq:dnsmasq-base tcpdump:tcpdump conntrack:conntrack modprobe:kmod \
    sysctl:procps unshare:util-linux openssl:openssl; do
    command -v "${pair%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
find_python || missing="$missing python3 python3-venv"
[ "${1-}" != bench ] || { command -v cc && [ -e /usr/include/stdio.h ]; } >/dev/null ||
    missing="$missing gcc libc6-dev"
[ "${1-}" != test ] || [ -e /usr/lib/cni/bridge ] || [ -e /opt/cni/bin/bridge ] ||
    missing="$missing containernetworking-plugins"

if [ -n "$missing" ]; then
    command -v apt-get >/dev/null ||
        fail "no apt-get here; please install what Debian calls:$missing"
    [ -z "$sudo" ] || command -v sudo >/dev/null || fail "as root, please install:$missing"
    say "installing$missing"
    quietly="$sudo env DEBIAN_FRONTEND=noninteractive"
    apt="$quietly apt-get -qq -o DPkg::Lock::Timeout=300"
    install() { log=$($apt install --no-install-recommends $missing </dev/null 2>&1); }
    finish() {  # an apt-get that was killed refuses to begin again, and says what it wants
        case $log in *'dpkg --configure -a'*) ;; *) return 1 ;; esac
        say "finishing what an interrupted installation has left"
        log=$($quietly dpkg --force-confold --configure -a </dev/null 2>&1) && install
    }
    # One unreachable third-party archive need not matter, so a failed update is only reported.
    $apt -o APT::Update::Error-Mode=any update </dev/null ||
        say "apt-get update failed; trying with the lists at hand" >&2
    # Debian makes haproxy a service, started now and at each boot; labs only want the program.  A
    # preset says no to a service that is new (systemd.preset(5)); this one is gone when we are.
    presets=/run/systemd/system-preset
    trap '$sudo rm -f $presets/testbed.preset' EXIT
    $sudo mkdir -p $presets
    echo 'disable haproxy.service' | $sudo tee $presets/testbed.preset >/dev/null
    install || finish || {
        echo "$log" | tail -n 5 >&2
        fail "apt-get could not install$missing; its last words are above"
    }
fi
[ -z "${1-}" ] || exit 0
find_python || fail "needs Python 3.11 or newer with the modules venv and ensurepip"

# .unfinished tells a .venv whose making was interrupted from a whole one.  In one that came here
# with its folder, moved or copied, are the paths of where it was made: it would run what is there.
usable() {
    [ ! -e .venv/.unfinished ] && grep -qsF " $(pwd -P)/.venv" .venv/pyvenv.cfg &&
        .venv/bin/python -m pip --version >/dev/null 2>&1
}
if ! usable; then
    say "making .venv with $("$python" --version)"
    rm -rf .venv; mkdir .venv; touch .venv/.unfinished
    "$python" -m venv .venv
fi
touch .venv/.unfinished
say "installing Python packages into .venv"
# uv is quicker, but does not read pip's settings (index, proxy): with any set, use pip.
if command -v uv >/dev/null && [ -z "$(.venv/bin/python -m pip config list)" ]; then
    uv pip install --quiet --compile-bytecode --python .venv --editable '.[dev]'
else
    .venv/bin/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
fi || fail "the Python packages could not be installed; why is above"
# Here and now: root's runs write no file into the tree, and would compile all of it each time.
.venv/bin/python -m compileall -q testbed
rm .venv/.unfinished
say "ready"
