#!/bin/bash
# Code compiled for AVX-512 shares a binary with code that must run without it. Of a function that
# several objects define (weak: inline functions and templates) the linker keeps any one copy, and
# an AVX-512 copy of a common one would end the process on an older processor. So the objects of a
# path may define weak symbols in the path's own namespace only.
#
# Usage: isa_symbols_test.sh PATH_NAMESPACE ARCHIVE...
set -u
path=$1
shift
status=0
seen=0
for archive in "$@"; do
  [[ $archive == *.a ]] || continue
  symbols=$(nm -C --defined-only "$archive") || exit 1
  seen=$((seen + $(grep -c " [TtWV] .*carousel::kernels::$path::" <<<"$symbols")))
  # Names of guard variables, type infos and static members of the namespace contain its name too.
  strangers=$(grep -E '^[0-9a-f]* [WVu] ' <<<"$symbols" | grep -v "carousel::kernels::$path::")
  if [[ -n $strangers ]]; then
    echo "$archive defines weak symbols outside of carousel::kernels::$path:"
    echo "$strangers"
    status=1
  fi
done
if ((seen == 0)); then
  echo "no symbol of carousel::kernels::$path in: $*"
  status=1
fi
exit $status
