"""CPU kernels: one source, compiled once for each instruction set, each in a namespace of its own (CAROUSEL_ISA)."""

_ISAS = {
    # GCC 12 takes the undefined upper halves in its own AVX-512 headers for uninitialised variables.
    "avx512": ["-Wno-maybe-uninitialized", "-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx512bw", "-mavx2", "-mfma", "-mprefer-vector-width=512", "-DCAROUSEL_ISA_AVX512=1"],
    "avx2": ["-mavx2", "-mfma", "-DCAROUSEL_ISA_AVX2=1"],
    # Scalar, but with the fma instruction: without it std::fma is a library call.
    "scalar": ["-mavx2", "-mfma", "-fno-tree-vectorize", "-fno-tree-slp-vectorize", "-DCAROUSEL_ISA_SCALAR=1"],
}

def isa_cc_library(name, srcs, hdrs = [], deps = [], visibility = None):
    """Makes `name` from srcs compiled for every path. Headers hold templates and inline functions in namespace CAROUSEL_ISA only."""
    for isa, copts in _ISAS.items():
        native.cc_library(
            name = name + "_" + isa,
            srcs = srcs + hdrs,
            copts = copts + ["-O3", "-DCAROUSEL_ISA=" + isa],
            deps = deps,
        )
    native.cc_library(
        name = name,
        deps = [":" + name + "_" + isa for isa in _ISAS],
        visibility = visibility,
    )
