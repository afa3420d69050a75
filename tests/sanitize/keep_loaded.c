/* keep_loaded.c - linked into sanitizer builds only. Open MPI unloads its plugins before the process ends; what they
 * leaked then has no name, and the leak checker can neither report nor suppress it by library. So nothing is unloaded.
 */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
