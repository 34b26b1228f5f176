/* exec_failure.h: what it means that a program could not be executed, told in the same words by all backends. */
#ifndef PLUGINS_EXEC_FAILURE_H
#define PLUGINS_EXEC_FAILURE_H

/* ENOENT of execve(2), to be put after the program's name. */
#define EXEC_MISSING                                                                                         \
    "does not exist, or the interpreter that its first line names doesn't (in a script with CRLF line ends " \
    "its name ends in a CR)"

/* The same for the words of another program, "No such file or directory" among them: a constant text to be put after
 * them, "" where they say something else. */
const char *exec_failure_hint(const char *words);

#endif
