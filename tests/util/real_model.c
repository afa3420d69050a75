#include "real_model.h"

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *real_270m(void)
{
    static char path[1024];
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache)
        snprintf(path, sizeof path, "%s/gemtune/gemma3-270m-q4_k_m.gguf", cache);
    else
        snprintf(path, sizeof path, "%s/.cache/gemtune/gemma3-270m-q4_k_m.gguf", home ? home : "");
    if (access(path, R_OK) != 0) {
        print_message("SKIP: %s is absent (tests/util/reference-env makes it)\n", path);
        skip();
    }
    return path;
}
