"""flipped_sessions: judge_sessions with one comparison of policy the other way round."""

def flipped_sessions(name, source, find, replace):
    """source: a file of services/policy in which `find` stands once. Returns the label of the program."""
    native.genrule(
        name = name + "_source",
        testonly = True,
        srcs = ["//services/policy:" + source],
        outs = [name + ".cc"],
        cmd = "$(location flip.py) $(location {source}) '{find}' '{replace}' > $@".format(
            source = "//services/policy:" + source,
            find = find,
            replace = replace,
        ),
        tools = ["flip.py"],
    )
    native.cc_binary(
        name = name,
        testonly = True,
        # What it defines is not looked for in the library again.
        srcs = [name + ".cc"],
        deps = [
            ":sessions",
            "//services/policy",
        ],
    )
    return ":" + name
