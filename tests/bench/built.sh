# Sourced by the measurements: installs what they need, builds the programs, says where they are (GATEPOST_BIN_*, BENCH_*), and stands
# in the repository's root.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deploy/local/install --yes build bench
bazel=(bazel); [[ -z ${GATEPOST_OUTPUT_BASE:-} ]] || bazel+=("--output_base=$GATEPOST_OUTPUT_BASE")
cache=${GATEPOST_DISK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gatepost/bazel}
"${bazel[@]}" build --symlink_prefix=/ --disk_cache="$cache" //:edge //:config //:auth //:gatepostctl //tests/bench:load //tests/bench:sink
bin=$("${bazel[@]}" info bazel-bin 2>/dev/null)
path() { echo "$bin/$("${bazel[@]}" cquery --output=starlark --starlark:expr='target.files_to_run.executable.short_path' "$1" 2>/dev/null | tail -1)"; }
GATEPOST_BIN_EDGE=$(path //:edge) GATEPOST_BIN_CONFIG=$(path //:config) GATEPOST_BIN_AUTH=$(path //:auth) GATEPOST_BIN_CTL=$(path //:gatepostctl)
export GATEPOST_BIN_EDGE GATEPOST_BIN_CONFIG GATEPOST_BIN_AUTH GATEPOST_BIN_CTL
export BENCH_LOAD=$bin/tests/bench/load BENCH_SINK=$bin/tests/bench/sink
