"""fuzz_target: one LLVMFuzzerTestOneInput, two uses.

NAME_replay   a test: runs every file of corpus/NAME (and the empty input) once; any configuration, `tests/run` uses asan.
NAME_fuzz     with --config=fuzz: the libFuzzer program that `tests/fuzz/run NAME SECONDS` builds and runs.
"""

def fuzz_target(name, srcs, deps, dictionary = None):
    """name: the target's name, its corpus is corpus/<name>. srcs define LLVMFuzzerTestOneInput. dictionary: of libFuzzer."""
    native.cc_library(
        name = name + "_lib",
        testonly = True,
        srcs = srcs,
        deps = deps,
        alwayslink = True,
    )
    corpus = native.glob(["corpus/" + name + "/**"], allow_empty = True)
    native.cc_test(
        name = name + "_replay",
        size = "small",
        srcs = ["replay_main.cc"],
        args = ["tests/fuzz/corpus/" + name],
        data = corpus,
        tags = ["fuzz_replay"],
        deps = [":" + name + "_lib"],
    )
    native.cc_binary(
        name = name + "_fuzz",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual", "fuzz"],
        data = [dictionary] if dictionary else [],
        deps = [":" + name + "_lib"],
    )
