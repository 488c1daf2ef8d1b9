# SPDX-License-Identifier: BSD-3-Clause
# What scripts/guest-kernel and scripts/guest-modules share; sourced by bash, never run.
#
# Everything that is built lies outside the source tree, in folders whose names hold a hash of all
# that went in.  A folder appears by a rename once it is complete, so who sees it can use it.

say() { echo "${0##*/}: $*" >&2; }
fail() { say "$*"; exit 1; }

cache_root() {
	local base=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}

	[ -n "${VIREO_CACHE:-$base}" ] ||
		fail "VIREO_CACHE, XDG_CACHE_HOME and HOME are all unset: where to build?"
	echo "${VIREO_CACHE:-$base/vireo}"
}

# hash_of FILE...: 12 hex digits over names and contents
hash_of() {
	local f

	for f in "$@"; do
		printf '%s %s\n' "${f##*/}" "$(sha256sum <"$f")" || return 1
	done | sha256sum | cut -c1-12
}

# need_tools COMMAND...: all of them, or a message naming those that are missing
need_tools() {
	local t missing=

	for t in "$@"; do
		command -v "$t" >/dev/null || missing="$missing $t"
	done
	[ -z "$missing" ] || fail "not installed:$missing (run scripts/setup check)"
}

# need_headers HEADER...: C headers that the kernel's own build programs include
need_headers() {
	local h

	for h in "$@"; do
		printf '#include <%s>\n' "$h" | ${HOSTCC:-cc} -E -x c - >/dev/null 2>&1 ||
			fail "header <$h> is not installed (run scripts/setup check)"
	done
}

# lock_entry ENTRY: one builder per entry, until the process ends; sweeps out what killed builders left
lock_entry() {
	mkdir -p "${1%/*}" || fail "cannot create ${1%/*} (set VIREO_CACHE to a writable place)"
	exec 9>"${1%/*}/.${1##*/}.lock" ||
		fail "cannot write to ${1%/*} (set VIREO_CACHE to a writable place)"
	if ! flock -n 9; then
		say "another run builds ${1##*/}, waiting for it"
		flock 9
	fi
	find "${1%/*}" -maxdepth 1 -type d \( -name '.kernel-*' -o -name '.modules.*' \) -mmin +1440 \
		-exec rm -rf {} +
}

# logged LOG COMMAND...: run quietly; on failure show the end of the log and stop
logged() {
	local log=$1

	shift
	"$@" >>"$log" 2>&1 9>&- </dev/null && return
	tail -n 25 "$log" >&2
	fail "failed: $*"
}

# unpack_source TARBALL DIR: a kernel tree into DIR, without most of what um never compiles
unpack_source() {
	local a skip=()

	for a in alpha arc arm arm64 csky hexagon ia64 loongarch m68k microblaze mips nios2 openrisc parisc \
		powerpc riscv s390 sh sparc xtensa; do
		skip+=(--exclude="*/arch/$a/*.[chS]" --exclude="*/arch/$a/boot/dts/*")
	done
	mkdir -p "$2"
	tar -xf "$1" -C "$2" --strip-components=1 --exclude='*/Documentation/*/*' \
		--exclude='*/drivers/gpu/drm/amd/*.[ch]' "${skip[@]}"
}

# prune_build DIR: keep of a built kernel tree what building modules against it needs
prune_build() {
	local d

	for d in "$1"/*/; do
		case $d in
		*/arch/ | */include/ | */scripts/) ;;
		*) rm -rf "$d" ;;
		esac
	done
	find "$1/arch" -type f ! -name '*.h' ! -name 'Makefile*' ! -name 'Kbuild*' ! -name 'module*.lds*' \
		-delete
	find "$1" -path "$1/scripts" -prune -o -type f \( -name '*.o' -o -name '*.a' -o -name '.*.cmd' \) \
		-exec rm -f {} +
	rm -f "$1/vmlinux" "$1/linux" "$1/.config.old" "$1"/.vmlinux.* "$1"/.tmp_* "$1/.missing-syscalls.d"
	find "$1" -type d -empty ! -path '*/include/*' -delete
}
