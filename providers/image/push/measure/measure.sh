#!/usr/bin/env bash
# Compares apron's pushes with those of crane, skopeo, docker, podman and buildah, and
# prints tables:
#
#   bash providers/image/push/measure/measure.sh [-rounds 7] [-scale 1] [-link both] [-only REGEXP]
#
# It takes the tools that are there, and crane from its module. As root it installs skopeo,
# and starts a Docker daemon of its own; otherwise docker is the one that DOCKER_HOST names.
# Everything is kept in one directory under /tmp, with ten gigabytes at the full size, and
# removed at the end.
# shellcheck disable=SC2317,SC2329 # functions are called by trap
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

work=$(mktemp -d /tmp/apron-measure.XXXXXX)
dockerd=""
bridge=""

clean() {
	local code=$? mount
	trap - EXIT
	if [[ -n $dockerd ]]; then
		kill "$dockerd" 2>/dev/null || true
		wait "$dockerd" 2>/dev/null || true
	fi
	if [[ -n $bridge ]]; then ip link del "$bridge" 2>/dev/null || true; fi
	while read -r _ mount _; do
		if [[ $mount == "$work"/* ]]; then umount -l "$mount" 2>/dev/null || true; fi
	done < <(tac /proc/self/mounts 2>/dev/null || true)
	chmod -R u+w "$work" 2>/dev/null || true
	rm -rf --one-file-system "$work" || true
	exit "$code"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

has() { command -v "$1" >/dev/null; }

mkdir "$work/bin" "$work/tmp"
export PATH=$work/bin:$PATH TMPDIR=$work/tmp
if ! has crane; then GOBIN=$work/bin go install github.com/google/go-containerregistry/cmd/crane@v0.22.1; fi
if ! has skopeo && [[ $EUID -eq 0 ]] && has apt-get; then
	DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends skopeo >"$work/apt.log" 2>&1 ||
		tail -n 5 "$work/apt.log" >&2
fi

if [[ $EUID -eq 0 ]] && has dockerd; then
	if has ip; then # of its own: two daemons that share docker0 give one address twice
		bridge=apron$((BASHPID % 100000))
		if ! { ip link add name "$bridge" type bridge && ip addr add "172.30.$((BASHPID % 250)).1/24" dev "$bridge" && ip link set "$bridge" up; }; then
			ip link del "$bridge" 2>/dev/null || true
			bridge=
		fi
	fi
	setsid dockerd --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
		--host "unix://$work/docker.sock" --containerd-namespace apron-measure --containerd-plugins-namespace apron-measure-plugins \
		${bridge:+--bridge "$bridge"} --iptables=false >"$work/dockerd.log" 2>&1 &
	dockerd=$!
	export DOCKER_HOST=unix://$work/docker.sock
	for _ in $(seq 150); do
		if docker version >/dev/null 2>&1; then break; fi
		if ! kill -0 "$dockerd" 2>/dev/null; then
			tail -n 5 "$work/dockerd.log" >&2
			break
		fi
		sleep 0.2
	done
fi
if [[ $EUID -eq 0 ]] && { has podman || has buildah; }; then
	printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "%s/libpod"\n' "$work" >"$work/containers.conf"
	printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$work" "$work" >"$work/storage.conf"
	export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf
fi

go version
crane version 2>/dev/null | sed 's/^/crane /' || true
for tool in skopeo docker podman buildah; do
	if has "$tool"; then "$tool" --version; else echo "no $tool here"; fi
done
printf '%s processors\n\n' "$(nproc)"
go build -o "$work/bin/apron-measure" .
"$work/bin/apron-measure" "$@"
