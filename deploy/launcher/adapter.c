/* Starts the adapter in its bundle. This program is PREFIX/bin/adapter, or a copy of it as /opt/extensions/NAME.
 *
 * The bundle contains an interpreter, and the C library and the loader for which it was built. This program is static.
 * So the bundle needs no file of the system, which may have another C library or none. The loader looks for libraries
 * only in the bundle, and the interpreter ignores its own variables (-I). Other variables that could make them read the
 * app's files are hidden from them; main.py restores these variables for the app.
 *
 * Lambda starts a file in /opt/extensions without arguments. Then this program runs `adapter run` for an app that
 * another program starts, and the adapter registers as an extension with the name of this file.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define EXIT_NOT_STARTED 1

extern char **environ;

/* Variables with which the C library finds files, or chooses a locale that may be missing. */
static const char *const HIDDEN[] = {"GCONV_PATH=", "GLIBC_TUNABLES=", "LC_ALL=", "LD_", "LOCPATH=", NULL};
/* The prefix of a hidden variable's name. No shell can set a variable with this prefix. */
static const char MARK[] = "\001";

static void fail(const char *what, const char *path)
{
    fprintf(stderr, "adapter: %s %s: %s\n", what, path, strerror(errno));
    exit(EXIT_NOT_STARTED);
}

/* Returns the concatenation of two texts. It is never freed, because execv soon replaces this program. */
static char *join(const char *first, const char *second)
{
    char *text = malloc(strlen(first) + strlen(second) + 1);
    if (text == NULL)
        fail("no memory for", second);
    return strcat(strcpy(text, first), second);
}

static char *parent(const char *path)
{
    return dirname(join(path, ""));
}

static int is_bundle(const char *prefix)
{
    return access(join(prefix, "/lib/main.pyc"), R_OK) == 0;
}

/* Returns the folder of the bundle. `program` is the path with which this program was started. */
static char *find_prefix(const char *program)
{
    char *real = realpath(program, NULL);
    if (real == NULL)
        fail("cannot find itself at", program);
    char *prefix = parent(parent(real));
    if (is_bundle(prefix))
        return prefix;
    char *beside = join(strcmp(prefix, "/") == 0 ? "" : prefix, "/adapter");
    if (!is_bundle(beside)) {
        fprintf(stderr, "adapter: %s belongs to a folder that deploy/build-bundle has made; %s and %s are not one\n",
                program, prefix, beside);
        exit(EXIT_NOT_STARTED);
    }
    return beside;
}

static void hide_variables(void)
{
    for (char **variable = environ; *variable != NULL; variable++)
        for (const char *const *name = HIDDEN; *name != NULL; name++)
            if (strncmp(*variable, *name, strlen(*name)) == 0)
                *variable = join(MARK, *variable);
}

int main(int argc, char **argv)
{
    const char *program = (const char *)getauxval(AT_EXECFN);
    if (program == NULL || *program == '\0')
        program = argv[0];
    char *prefix = find_prefix(program);
    char *loader = join(prefix, "/python/adapter"), *python = join(prefix, "/python/bin/python");
    char *start[] = {"adapter", "--inhibit-cache", "--library-path", join(prefix, "/python/lib"), "--argv0", python,
                     python, "-IS", join(prefix, "/lib/main.pyc")};
    size_t given = argc > 0 ? (size_t)argc - 1 : 0, fixed = sizeof start / sizeof *start;
    char **command = calloc(fixed + given + 2, sizeof *command);
    if (command == NULL)
        fail("no memory for", program);
    memcpy(command, start, sizeof start);
    memcpy(command + fixed, argv + 1, given * sizeof *command);
    char *folder = parent(program);
    if (given == 0 && strcmp(basename(folder), "extensions") == 0) {
        command[fixed] = "run";
        setenv("ADAPTER_EXTENSION_NAME", basename(join(program, "")), 0);
    }
    hide_variables();
    /* Without LC_ALL, the interpreter would choose this locale itself, and set LC_CTYPE, which the app would inherit. */
    setenv("LC_ALL", "C.UTF-8", 1);
    execv(loader, command);
    fail("cannot start", loader);
}
