#!/usr/bin/env bash
# A real Kubernetes with one node on loopback, for tests; no container engine and no pulled image needed.
#
#   kube.sh can-run              whether a node can run here; if not, status 3 and a line that says what is missing
#   kube.sh build                build what is missing into the cache, and install the Debian packages
#   kube.sh prepare              the same, but for what needs DATALAKE
#   kube.sh install              only the Debian packages that are missing
#   kube.sh up [OWNER]           build and start all, print shell exports; ends by itself when the process OWNER does.
#                                What is up already is joined, and keeps the owner that it has
#   kube.sh down                 stop all and leave nothing behind: processes, mounts, rules, bridge, data
#   kube.sh status               what runs, and its memory; status 1: it is not up
#   kube.sh load IMAGE.tar...    bring images into the node; pods use them with imagePullPolicy: Never
#   kube.sh volume NAME SIZE [NAMESPACE/CLAIM]
#                                make an empty PersistentVolume of 65532:65532, for claims without a storage class, or for
#                                that one alone
#   kube.sh api-restart [SECONDS]  kill the API server alone, and start it again SECONDS later (by default, at once)
#   kube.sh kubectl ARGS...      kubectl, as the administrator
#   kube.sh ctr ARGS...          ctr, for the node's containerd
#
# What is Kubernetes', etcd and CoreDNS are built by the Go toolchain at fixed versions, once, into DATALAKE_KUBE (by
# default below the user's cache folder, outside of any clone); containerd, runc and the network plugins are Debian's.
# The image of pods' sandboxes is packed by DATALAKE, the path of the `datalake` program. What runs keeps its data in
# KUBE_STATE (by default datalake-kube in the folder for temporary files) until `down`, and listens on 127.0.0.1, or on
# a bridge between pods that no other machine reaches. NodePorts answer on 127.0.0.1. Pods reach one another and the
# API, by name too, but nothing outside.
set -euo pipefail

kubernetes=v1.34.10 # takes cgroup v1 and containerd 1.6, which later ones do not
parts=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet) # in that version
etcd=v3.6.16
coredns=v1.15.0
coredns_plugins=(bind errors cache kubernetes) # a query passes them in this order
cache=${DATALAKE_KUBE:-${XDG_CACHE_HOME:-$HOME/.cache}/datalake/kube}
bin=$cache/bin
coredns_server=$bin/coredns-$coredns-$(IFS=- && echo "${coredns_plugins[*]}")
self=$(readlink -f "$0")
state=$(realpath -m "${KUBE_STATE:-${TMPDIR:-/tmp}/datalake-kube}")
api_port=16443
etcd_port=12379
pods=10.244.0 # a /24: .1 is the bridge and the node, pods begin at .10
services=10.96.0 # the start of a /16: .1 is the API
bridge=datalake0
plugins=/usr/lib/cni
# The kubelet refuses a loopback address for the node's, but the API server may reach it by a name that is one.
node=localhost
settings=(net.ipv4.ip_forward net.ipv4.conf.all.route_localnet vm.overcommit_memory kernel.panic kernel.panic_on_oops)

say() { printf 'kube.sh: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
cannot() {
  printf '\n*** kube.sh: no Kubernetes node can run here: %s ***\n\n' "$*" >&2
  exit 3
}

# --- Whether it can run

has_cgroups() {
  local controller
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    for controller in cpu memory pids; do grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || return 1; done
  else
    for controller in cpu memory pids; do [ -w "/sys/fs/cgroup/$controller/tasks" ] || return 1; done
  fi
}

# By trial, in the folder that will hold the pods' file systems: an overlay cannot lie upon another.
has_overlay() {
  local trial works=1
  trial=$(mktemp -d "$(dirname "$state")/datalake-kube-trial.XXXXXX") || return 1
  mkdir "$trial"/{lower,upper,work,merged}
  if mount -t overlay overlay -o "lowerdir=$trial/lower,upperdir=$trial/upper,workdir=$trial/work" "$trial/merged"; then
    umount "$trial/merged"
    works=0
  fi
  rm -rf --one-file-system "$trial"
  return "$works"
}

has_bridges() {
  # Under another name than the pods', which another `up` may be making.
  ip link add "try$$" type bridge && ip link del "try$$"
}

missing_packages() {
  local program
  for program in containerd runc iptables conntrack socat; do
    command -v "$program" >/dev/null || printf '%s\n' "$program"
  done
  [ -x "$plugins/bridge" ] || printf 'containernetworking-plugins\n'
}

is_built() {
  local program
  for program in "etcd-$etcd" "${coredns_server##*/}" "${parts[@]/%/-$kubernetes}"; do
    [ -x "$bin/$program" ] || return 1
  done
  command -v kubectl >/dev/null || [ -x "$bin/kubectl-$kubernetes" ] || return 1
  [ -s "$bin/pause.tar" ]
}

can_run() {
  local program
  [ "$(uname -s)" = Linux ] || cannot "this is not Linux"
  [ "$(id -u)" = 0 ] || cannot "not root"
  is_built || command -v go >/dev/null || cannot "there is no Go toolchain to build it with"
  for program in curl flock ip openssl setsid sysctl; do
    command -v "$program" >/dev/null || cannot "there is no $program"
  done
  [ -z "$(missing_packages)" ] || command -v apt-get >/dev/null ||
    cannot "missing, with no apt-get to install them: $(missing_packages | tr '\n' ' ')"
  has_cgroups || cannot "the cgroup controllers cpu, memory and pids are not all there"
  has_overlay >/dev/null 2>&1 || cannot "overlayfs cannot be mounted in $(dirname "$state")"
  has_bridges >/dev/null 2>&1 || cannot "no network bridge can be made"
  unshare --net --mount --pid --ipc --uts --fork true 2>/dev/null || cannot "no namespaces can be made"
  # `down` removes rules of Kubernetes': never those of another cluster's node.
  is_alive kubelet || ! curl --silent --output /dev/null --max-time 2 --noproxy '*' http://127.0.0.1:10248/healthz ||
    cannot "another kubelet runs on this machine"
}

# --- Building

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  if [ "${#missing[@]}" -eq 0 ]; then return; fi
  [ "$(id -u)" = 0 ] || die "Debian packages are missing, and only root can install them: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local get=(apt-get -o DPkg::Lock::Timeout=300 --quiet --yes)
  "${get[@]}" install --no-install-recommends "${missing[@]}" >&2 || {
    # The list of packages may be older than what the mirror holds.
    "${get[@]}" update >&2
    "${get[@]}" install --no-install-recommends "${missing[@]}" >&2
  }
}

# `go install` refuses modules that replace others, as those of Kubernetes and of etcd do. So a module of our own asks
# for them; it takes the parts of Kubernetes that lie in its repository in the versions that are published beside it.
kubernetes_module() {
  local dir=$1 theirs
  theirs=$(cd "$dir" && go mod download -json "k8s.io/kubernetes@$kubernetes" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  [ -s "$theirs" ] || die "k8s.io/kubernetes $kubernetes has no go.mod"
  {
    printf 'module localhost/kubernetes\n\n'
    sed -n '/^go /p; /^godebug /p' "$theirs"
    printf '\nrequire k8s.io/kubernetes %s\n' "$kubernetes"
    sed -n "s|^\t\(k8s.io/[a-z0-9-]*\) => ./staging/.*|replace \1 => \1 v0${kubernetes#v1}|p" "$theirs"
  } >"$dir/go.mod.new"
  mv "$dir/go.mod.new" "$dir/go.mod"
}

# Built beside and moved, so that a build that is cut short leaves no half program.
go_build() {
  local dir=$1 package=$2 to=$3 symbols=${4:-}
  say "building $(basename "$to") into $bin"
  nice -n 10 go -C "$dir" build -mod=mod -trimpath -ldflags "-s -w $symbols" -o "$to.new" "$package" 9>&-
  mv "$to.new" "$to"
}

build_kubernetes() {
  local name=$1 minor
  local dir=$cache/src/kubernetes-$kubernetes version=k8s.io/component-base/version
  if [ -x "$bin/$name-$kubernetes" ]; then return; fi
  mkdir -p "$dir"
  [ -s "$dir/go.mod" ] || kubernetes_module "$dir"
  minor=$(cut -d. -f2 <<<"$kubernetes")
  go_build "$dir" "k8s.io/kubernetes/cmd/$name" "$bin/$name-$kubernetes" \
    "-X $version.gitVersion=$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=$minor"
}

# By a module of our own for the same reason.
build_etcd() {
  local dir=$cache/src/etcd-$etcd module=go.etcd.io/etcd/server/v3
  if [ -x "$bin/etcd-$etcd" ]; then return; fi
  mkdir -p "$dir"
  printf 'module localhost/etcd\n\ngo 1.24\n\nrequire %s %s\n' "$module" "$etcd" >"$dir/go.mod"
  go_build "$dir" "$module" "$bin/etcd-$etcd"
}

# With the plugins that the cluster's file names, and without the clouds whose clients the others would have compiled.
build_coredns() {
  local dir=$cache/src/coredns-$coredns module=github.com/coredns/coredns plugin
  if [ -x "$coredns_server" ]; then return; fi
  mkdir -p "$dir"
  printf 'module localhost/coredns\n\ngo 1.24\n\nrequire %s %s\n' "$module" "$coredns" >"$dir/go.mod"
  {
    printf 'package main\n\nimport (\n\t"%s/core/dnsserver"\n\t"%s/coremain"\n' "$module" "$module"
    for plugin in "${coredns_plugins[@]}"; do printf '\t_ "%s/plugin/%s"\n' "$module" "$plugin"; done
    printf ')\n\nfunc main() {\n\tdnsserver.Directives = []string{'
    printf '"%s", ' "${coredns_plugins[@]}"
    printf '}\n\tcoremain.Run()\n}\n'
  } >"$dir/main.go"
  go_build "$dir" . "$coredns_server"
}

# What every pod's sandbox runs: it holds the namespaces, and reaps what is left by the pod's processes.
build_pause() {
  local dir=$cache/src/pause
  if [ -s "$bin/pause.tar" ]; then return; fi
  [ -x "${DATALAKE:-}" ] || die "the image for pods' sandboxes is packed by datalake: set DATALAKE to its path"
  mkdir -p "$dir"
  printf 'module localhost/pause\n\ngo 1.24\n' >"$dir/go.mod"
  cat >"$dir/main.go" <<'GO'
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGINT, syscall.SIGTERM)
	for got := range signals {
		if got != syscall.SIGCHLD {
			return
		}
		// One signal may stand for several children.
		for pid := 1; pid > 0; {
			pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		}
	}
}
GO
  CGO_ENABLED=0 go_build "$dir" . "$dir/pause" # nothing else is in its image
  "$DATALAKE" --quiet image pack --name localhost/pause:1 --entrypoint /pause -o "$bin/pause.tar.new" "$dir/pause" >&2
  mv "$bin/pause.tar.new" "$bin/pause.tar"
}

# Builds what is missing; with an argument all but what datalake itself has to pack.
build() {
  local name
  install_packages
  mkdir -p "$bin"
  # Tests ask for it at once, and one build is enough.
  (
    flock 9
    is_built || command -v go >/dev/null || cannot "there is no Go toolchain to build it with"
    if [ "$#" = 0 ]; then build_pause; fi # first, since it may miss DATALAKE
    build_etcd
    for name in "${parts[@]}"; do build_kubernetes "$name"; done
    command -v kubectl >/dev/null || build_kubernetes kubectl
    build_coredns
  ) 9>"$cache/lock"
}

# From here to the script's end, one at a time goes up or down.
lock() {
  while true; do
    exec 8>"$state.lock"
    flock 8
    # `down` removes the file.
    if [ "$state.lock" -ef /proc/self/fd/8 ]; then return; fi
  done
}

# --- Processes, each known by its number and by when it began, since numbers are used again

# Prints when a process began, in ticks since the machine did.
birth() {
  local fields
  fields=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The program's name, in parentheses, may hold spaces.
  read -ra fields <<<"${fields##*) }"
  printf '%s\n' "${fields[19]}"
}

is_alive() {
  local pid born
  read -r pid born 2>/dev/null <"$state/pids/$1" || return 1
  [ "$(birth "$pid")" = "$born" ] && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null
}

pid_of() { cut -d' ' -f1 "$state/pids/$1"; }

launch() {
  local name=$1 pid
  shift
  if is_alive "$name"; then return; fi
  setsid nohup "$@" >>"$state/logs/$name" 2>&1 </dev/null 8>&- &
  pid=$!
  printf '%s %s\n' "$pid" "$(birth "$pid")" >"$state/pids/$name"
}

# Ends processes together: asks, and insists three seconds later.
halt() {
  local name left pids=()
  for name in "$@"; do
    if is_alive "$name"; then pids+=("$(pid_of "$name")"); fi
  done
  if [ "${#pids[@]}" -gt 0 ]; then
    kill "${pids[@]}" 2>/dev/null || true
    for _ in $(seq 1 30); do
      left=
      for name in "$@"; do if is_alive "$name"; then left=1; fi; done
      [ -n "$left" ] || break
      sleep 0.1
    done
    for name in "$@"; do if is_alive "$name"; then kill -9 "$(pid_of "$name")" 2>/dev/null || true; fi; done
  fi
  for name in "$@"; do rm -f "$state/pids/$name"; done
}

# Waits until a command succeeds, which tells that a process is ready.
await() {
  local name=$1 end=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ] || ! is_alive "$name"; then
      say "$name did not come up; its log is in $state/logs and ends with:"
      tail -n 5 "$state/logs/$name" >&2
      exit 1
    fi
    sleep 0.3
  done
}

answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

administrate() {
  local program
  program=$(command -v kubectl || printf '%s' "$bin/kubectl-$kubernetes")
  "$program" --kubeconfig "$state/kubeconfig" "$@"
}

containers() { ctr --address "$state/run/containerd.sock" --connect-timeout 2s --namespace k8s.io "$@"; }

# --- Certificates

certify() {
  local name=$1 subject=$2 names=${3:-} config
  config=$'[req]\ndistinguished_name=none\n[none]\n'
  local extensions=(-addext "basicConstraints=critical,CA:FALSE" -addext "keyUsage=critical,digitalSignature"
    -addext "extendedKeyUsage=serverAuth,clientAuth")
  local by=(-CA ca.crt -CAkey ca.key)
  if [ "$name" = ca ]; then
    by=()
    extensions=(-addext "basicConstraints=critical,CA:TRUE"
      -addext "keyUsage=critical,digitalSignature,keyCertSign,cRLSign")
  fi
  if [ -n "$names" ]; then extensions+=(-addext "subjectAltName=$names"); fi
  openssl req -x509 -config <(printf '%s' "$config") "${by[@]}" -days 365 -subj "$subject" "${extensions[@]}" \
    -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$name.key" -out "$name.crt" 2>/dev/null
}

kubeconfig() {
  local user=$1 file=$2
  cat >"$file" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster: {server: "https://127.0.0.1:$api_port", certificate-authority-data: $(base64 -w0 ca.crt)}
users:
- name: $user
  user: {client-certificate-data: $(base64 -w0 "$user.crt"), client-key-data: $(base64 -w0 "$user.key")}
contexts:
- name: local
  context: {cluster: local, user: $user}
current-context: local
YAML
}

make_certificates() (
  if [ -f "$state/kubeconfig" ]; then return; fi
  umask 077
  cd "$state/pki"
  certify ca /CN=datalake-tests
  openssl ecparam -name prime256v1 -genkey -noout -out tokens.key
  openssl ec -in tokens.key -pubout -out tokens.pub 2>/dev/null
  local api=kubernetes.default.svc
  certify apiserver /CN=kube-apiserver "IP:127.0.0.1,IP:$services.1,IP:$pods.1,DNS:localhost,DNS:kubernetes,\
DNS:kubernetes.default,DNS:$api,DNS:$api.cluster.local"
  certify apiserver-to-kubelet /O=system:masters/CN=apiserver-to-kubelet
  certify kubelet "/O=system:nodes/CN=system:node:$node" "IP:127.0.0.1,DNS:$node"
  certify controller-manager /CN=system:kube-controller-manager
  certify scheduler /CN=system:kube-scheduler
  certify proxy /CN=system:kube-proxy
  certify dns /O=system:masters/CN=coredns
  certify admin /O=system:masters/CN=admin
  local user
  for user in kubelet controller-manager scheduler proxy dns; do kubeconfig "$user" "$user.kubeconfig"; done
  kubeconfig admin admin.kubeconfig
  mv admin.kubeconfig "$state/kubeconfig"
)

# --- Starting

# Writes a file of the state's, unless it is as it should be: kube-proxy ends when its file is written again.
configure() {
  cat >"$state/new"
  cmp --quiet "$state/new" "$state/$1" || mv "$state/new" "$state/$1"
}

start_api() {
  launch kube-apiserver "$bin/kube-apiserver-$kubernetes" --bind-address 127.0.0.1 --secure-port "$api_port" \
    --advertise-address "$pods.1" --etcd-servers "http://127.0.0.1:$etcd_port" \
    --service-cluster-ip-range "$services.0/16" --allow-privileged \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --client-ca-file "$state/pki/ca.crt" \
    --tls-cert-file "$state/pki/apiserver.crt" --tls-private-key-file "$state/pki/apiserver.key" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$state/pki/tokens.pub" --service-account-signing-key-file "$state/pki/tokens.key" \
    --kubelet-preferred-address-types Hostname --kubelet-certificate-authority "$state/pki/ca.crt" \
    --kubelet-client-certificate "$state/pki/apiserver-to-kubelet.crt" \
    --kubelet-client-key "$state/pki/apiserver-to-kubelet.key"
  await kube-apiserver 90 administrate get --raw /readyz
}

start_control_plane() {
  local client=http://127.0.0.1:$etcd_port peer=http://127.0.0.1:$((etcd_port + 1))
  launch etcd "$bin/etcd-$etcd" --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"
  await etcd 30 curl --fail --silent --max-time 2 --noproxy '*' "$client/readyz"
  start_api
  launch kube-controller-manager "$bin/kube-controller-manager-$kubernetes" --bind-address 127.0.0.1 \
    --kubeconfig "$state/pki/controller-manager.kubeconfig" --leader-elect=false --use-service-account-credentials \
    --service-account-private-key-file "$state/pki/tokens.key" --root-ca-file "$state/pki/ca.crt"
  launch kube-scheduler "$bin/kube-scheduler-$kubernetes" --bind-address 127.0.0.1 \
    --kubeconfig "$state/pki/scheduler.kubeconfig" --leader-elect=false
}

start_containerd() {
  configure network/10-pods.conflist <<JSON
{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "$bridge",
      "isGateway": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "dataDir": "$state/addresses",
        "ranges": [[{"subnet": "$pods.0/24", "rangeStart": "$pods.10", "gateway": "$pods.1"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
  # runc would die of its oom_score_adj, without a word, where root may not lower it: hence restrict_oom_score_adj. All
  # that containerd keeps elsewhere by default is brought below the state's folder, for `down` to find.
  configure conf/containerd.toml <<TOML
version = 2
root = "$state/containerd"
state = "$state/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = "$state/run/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "$state/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
disable_apparmor = true
disable_hugetlb_controller = true
tolerate_missing_hugetlb_controller = true
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$plugins"
conf_dir = "$state/network"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "$state/run/runc"
SystemdCgroup = false
TOML
  launch containerd containerd --config "$state/conf/containerd.toml"
  await containerd 30 containers version
  containers images ls -q | grep -qx localhost/pause:1 || containers images import "$bin/pause.tar" >/dev/null
}

start_kubelet() {
  configure conf/resolv.conf </dev/null
  configure conf/kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
healthzBindAddress: 127.0.0.1
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $state/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $state/pki/kubelet.crt
tlsPrivateKeyFile: $state/pki/kubelet.key
containerRuntimeEndpoint: unix://$state/run/containerd.sock
podLogsDir: $state/pod-logs
volumePluginDir: $state/volume-plugins
resolvConf: $state/conf/resolv.conf
clusterDNS: [$pods.1]
clusterDomain: cluster.local
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
# Images were loaded by hand and cannot be pulled again.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 200Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}
nodeStatusUpdateFrequency: 5s
syncFrequency: 10s
YAML
  launch kubelet "$bin/kubelet-$kubernetes" --config "$state/conf/kubelet.yaml" \
    --kubeconfig "$state/pki/kubelet.kubeconfig" --root-dir "$state/kubelet" --cert-dir "$state/kubelet/pki" \
    --hostname-override "$node" --node-ip "$pods.1"
}

start_network() {
  configure conf/proxy.yaml <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $state/pki/proxy.kubeconfig}
hostnameOverride: $node
mode: iptables
clusterCIDR: $pods.0/24
nodePortAddresses: [127.0.0.0/8]
bindAddress: 127.0.0.1
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
# The machine's own settings stay.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
  launch kube-proxy "$bin/kube-proxy-$kubernetes" --config "$state/conf/proxy.yaml"
  # The API server listens on loopback, where pods cannot reach it, and is announced with the bridge's address.
  launch api-for-pods socat "TCP-LISTEN:$api_port,bind=$pods.1,fork,reuseaddr" "TCP:127.0.0.1:$api_port"
  configure conf/Corefile <<CONF
.:53 {
  bind $pods.1
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $state/pki/dns.kubeconfig local
    ttl 5
  }
  cache 5
}
CONF
  launch coredns "$coredns_server" -conf "$state/conf/Corefile"
}

# Puts back what was noted of the machine's settings, all or those whose names begin with one of the words given.
restore_settings() {
  local line
  while read -r line; do
    if [[ $line =~ ^(${1:-.}) ]]; then sysctl --quiet --write "$line" || say "could not restore $line"; fi
  done <"$state/settings"
}

note_settings() {
  local setting
  if [ -s "$state/settings" ]; then return; fi
  for setting in "${settings[@]}"; do printf '%s=%s\n' "$setting" "$(sysctl -n "$setting")"; done >"$state/settings.new"
  mv "$state/settings.new" "$state/settings"
}

# Ends all when the owner is gone without having done so, by a copy of this script: the clone may be gone as well.
watch_over() {
  cp "$self" "$state/kube.sh"
  # shellcheck disable=SC2016 # for the other shell
  launch watcher env KUBE_STATE="$state" bash -c \
    'while kill -0 "$1" 2>/dev/null; do sleep 1; done; exec "$2" down' watcher "$1" "$state/kube.sh"
}

bring_up() {
  local owner=$1 fresh=
  # Unix sockets lie below it, whose paths may have 107 bytes.
  [ "${#state}" -le 60 ] || die "the path of KUBE_STATE is too long for the sockets below it: $state"
  if ! is_alive containerd && ! is_alive kube-apiserver; then fresh=1; fi
  if ! is_alive kube-apiserver && answers 127.0.0.1 "$api_port"; then
    die "something else listens on port $api_port"
  fi
  mkdir -p "$state"/{addresses,conf,logs,network,pids,pki,pod-logs,run,volumes}
  chmod 700 "$state" # it holds keys
  note_settings
  if [ -n "$owner" ] && [ -n "$fresh" ]; then watch_over "$owner"; fi
  make_certificates
  # Before the node is there, which takes its address for its own.
  ip link show "$bridge" >/dev/null 2>&1 || ip link add "$bridge" type bridge
  ip address replace "$pods.1/24" dev "$bridge"
  ip link set "$bridge" up
  start_containerd
  start_control_plane
  start_kubelet
  start_network
  await kubelet 90 administrate wait "node/$node" --for=condition=Ready --timeout=2s
  await coredns 30 answers "$pods.1" 53
  await kube-proxy 30 curl --fail --silent --max-time 2 --noproxy '*' http://127.0.0.1:10249/healthz
  await kube-controller-manager 30 administrate --namespace default get serviceaccount default
  # The kubelet set these when it started. A machine that runs tests must not panic because of it.
  restore_settings 'vm\.|kernel\.'
}

up() {
  can_run
  build
  lock
  bring_up "${1:-}"
  say "Kubernetes $kubernetes is up; its state is in $state"
  printf 'export KUBECONFIG=%q\n' "$state/kubeconfig"
}

# --- Stopping

# Kills what runs in pods, and what containerd has left to look after it.
kill_pods() {
  local shim pids
  for _ in 1 2 3; do
    mapfile -t pids < <(
      find /sys/fs/cgroup/ -path '*/kubepods/*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u
    )
    for shim in /proc/[0-9]*; do
      if tr '\0' ' ' 2>/dev/null <"$shim/cmdline" | grep -q "^[^ ]*containerd-shim.* $state/run/containerd.sock "; then
        pids+=("${shim#/proc/}")
      fi
    done
    [ "${#pids[@]}" -gt 0 ] || return 0
    kill -9 "${pids[@]}" 2>/dev/null || true
    sleep 0.2
  done
}

# Every rule of Kubernetes' and of the network's plugins lies in a chain that is named so, or leads to one. Others stay.
remove_rules() {
  local save rules
  for save in iptables-save ip6tables-save; do
    rules=$("$save" --counters 2>/dev/null) || continue
    if grep -E 'KUBE-|CNI-' <<<"$rules" >/dev/null; then
      grep -vE 'KUBE-|CNI-' <<<"$rules" | "${save/save/restore}" --counters || say "packet filter rules are left"
    fi
  done
}

# Removes what Kubernetes, containerd and the network's plugins keep at places of their own.
remove_elsewhere() {
  local file group
  find /var/log/containers -maxdepth 1 -lname "$state/*" -delete 2>/dev/null || true
  grep -lsF "$state/" /var/lib/cni/results/* | while read -r file; do rm "$file"; done || true
  for file in "$state"/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/address; do
    if [ -f "$file" ]; then rm -f "$(sed 's|^unix://||' "$file")"; fi
  done
  # The one place that the kubelet takes from nobody.
  rm -f /var/lib/kubelet/device-plugins/kubelet.sock
  rmdir --ignore-fail-on-non-empty --parents /var/lib/kubelet/device-plugins 2>/dev/null || true
  for group in /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods; do
    if [ -d "$group" ]; then find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; fi
  done
}

take_down() {
  # Never the one that called.
  if ! is_alive watcher || [ "$(pid_of watcher)" != $$ ]; then halt watcher; fi
  # Their data go, too, so there is no order to keep.
  halt kubelet kube-proxy coredns api-for-pods kube-scheduler kube-controller-manager kube-apiserver etcd containerd
  kill_pods
  # Deepest first.
  awk -v below="$state/" 'index($2, below) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do
    umount --lazy "$mount" || true
  done
  remove_rules
  ip link del "$bridge" 2>/dev/null || true
  if [ -f "$state/settings" ]; then restore_settings; fi
  remove_elsewhere
  if grep -q " $state/" /proc/mounts; then die "something is still mounted below $state"; fi
  rm -rf --one-file-system "$state"
}

down() {
  if [ ! -d "$state" ]; then return; fi
  lock
  if [ -d "$state" ]; then take_down; fi
  rm "$state.lock"
}

# --- While it runs

must_be_up() { is_alive "$1" || die "no Kubernetes is up in $state; see \`kube.sh up\`"; }

status() {
  local file name result=1
  for file in "$state"/pids/*; do
    [ -e "$file" ] || continue
    name=$(basename "$file")
    if is_alive "$name"; then
      result=0
      printf '%-24s %8d %6d MiB\n' "$name" "$(pid_of "$name")" \
        "$(awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$(pid_of "$name")/status")"
    else
      printf '%-24s     dead\n' "$name"
    fi
  done
  if [ "$result" -ne 0 ]; then say "not up"; fi
  return "$result"
}

load() {
  local image
  must_be_up containerd
  for image in "$@"; do containers images import "$image" >&2; done
}

volume() {
  local name=$1 size=$2 claim=${3:-} phase
  [[ $name =~ ^[a-z0-9][a-z0-9-]*$ ]] || die "no name for a volume: $name"
  must_be_up kube-apiserver
  phase=$(administrate get persistentvolume "$name" --ignore-not-found -o 'jsonpath={.status.phase}')
  case $phase in
    '') ;;
    Bound) die "the volume $name is in use" ;;
    *) administrate delete persistentvolume "$name" >&2 ;;
  esac
  rm -rf --one-file-system "${state:?}/volumes/$name"
  install -d -o 65532 -g 65532 -m 770 "$state/volumes/$name"
  administrate create -f - >&2 <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: $name}
spec:
  capacity: {storage: $size}
  accessModes: [ReadWriteOnce, ReadOnlyMany, ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: $state/volumes/$name, type: Directory}
$([ -z "$claim" ] || printf '  claimRef: {namespace: %s, name: %s}' "${claim%/*}" "${claim#*/}")
YAML
}

api_restart() {
  must_be_up etcd
  while is_alive kube-apiserver; do
    kill -9 "$(pid_of kube-apiserver)" 2>/dev/null || true
    sleep 0.1
  done
  sleep "$1"
  start_api
}

case ${1:-} in
  can-run) can_run ;;
  build) build ;;
  prepare) build without-datalake ;;
  install) install_packages ;;
  up) up "${2:-}" ;;
  down) down ;;
  status) status ;;
  load) load "${@:2}" ;;
  volume) volume "${2:?kube.sh volume NAME SIZE}" "${3:?kube.sh volume NAME SIZE}" "${4:-}" ;;
  api-restart) api_restart "${2:-0}" ;;
  kubectl) administrate "${@:2}" ;;
  ctr) containers "${@:2}" ;;
  *)
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
    exit 2
    ;;
esac
