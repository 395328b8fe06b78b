/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/script.h"

/* The root file system, and another one. */
static struct super_block disk = {.s_dev = 8}, other = {.s_dev = 9};

static struct dentry *dentry_of(struct dentry *parent, struct inode *inode)
{
    struct dentry *dentry = world_new(sizeof(*dentry));

    dentry->name = "/x";
    dentry->d_parent = parent != NULL ? parent : dentry;
    dentry->d_inode = inode;
    dentry->d_sb = inode->i_sb;
    return dentry;
}

static struct inode *inode_of(struct super_block *super, unsigned long number)
{
    struct inode *inode = world_new(sizeof(*inode));

    *inode = (struct inode){.i_ino = number, .i_generation = 1, .i_sb = super};
    return inode;
}

/* parent: NULL for the root of a file system. */
static struct dentry *entry(struct super_block *super, struct dentry *parent, unsigned long number)
{
    return dentry_of(parent, inode_of(super, number));
}

/* point: where it is mounted in another mount; NULL: nowhere. */
static struct fm_mount *mounted(struct dentry *root, struct fm_mount *parent, struct dentry *point)
{
    struct fm_mount *mount = world_new(sizeof(*mount));

    *mount = (struct fm_mount){.parent = parent != NULL ? parent : mount,
                               .point = point != NULL ? point : root,
                               .mnt = {.mnt_root = root}};
    return mount;
}

static struct file *file_at(struct fm_mount *mount, struct dentry *dentry)
{
    struct file *file = world_file("", 0);

    file->f_path = (struct path){&mount->mnt, dentry};
    return file;
}

/* /, /etc, /etc/hosts, /srv and /srv/data on the disk, which is mounted at the root. */
static struct world {
    struct fm_mount *mount;
    struct dentry *root, *etc, *hosts, *srv, *data;
} w;

static int set_up(void **state)
{
    int result = script_set_up(state);

    disk.s_root = w.root = entry(&disk, NULL, 2);
    w.mount = mounted(w.root, NULL, NULL);
    w.etc = entry(&disk, w.root, 3);
    w.hosts = entry(&disk, w.etc, 4);
    w.srv = entry(&disk, w.root, 5);
    w.data = entry(&disk, w.srv, 6);
    return result;
}

/* filemon's command: descriptor 7 is open on the file while it is sent. */
static void add(const char *letter, struct dentry *dentry)
{
    world_install(current->files, 7, file_at(w.mount, dentry));
    fm_control("+7");
    fm_control(letter);
    world_install(current->files, 7, NULL);
}

static enum fm_verdict judged_in(struct fm_mount *mount, struct dentry *dentry)
{
    struct path path = {&mount->mnt, dentry};

    return fm_judge_inode(&path);
}

static bool wanted_in(struct fm_mount *mount, struct dentry *dentry)
{
    return judged_in(mount, dentry) == FM_WANTED;
}

static bool wanted(struct dentry *dentry)
{
    return wanted_in(w.mount, dentry);
}

static void without_inodes_every_file_is_wanted(void **state)
{
    (void)state;
    assert_true(wanted(w.hosts));
    assert_true(wanted(w.root));
}

static void a_directory_means_what_is_below_it(void **state)
{
    (void)state;
    add("O", w.etc);
    assert_true(wanted(w.etc));
    assert_true(wanted(w.hosts));
    assert_false(wanted(w.root));
    assert_false(wanted(w.data));
}

static void a_file_is_meant_by_each_of_its_names(void **state)
{
    struct dentry *link = dentry_of(w.srv, w.hosts->d_inode);

    (void)state;
    add("O", w.hosts);
    assert_true(wanted(link));
    w.hosts->d_parent = w.srv; /* renamed */
    assert_true(wanted(w.hosts));
}

static void a_moved_directory_is_still_meant(void **state)
{
    (void)state;
    add("O", w.etc);
    w.etc->d_parent = w.data;
    assert_true(wanted(w.hosts));
    assert_false(wanted(w.data));
}

static void other_inodes_with_the_number_are_not_meant(void **state)
{
    struct dentry *elsewhere = entry(&other, NULL, 4), *later = entry(&disk, w.srv, 4);

    (void)state;
    add("O", w.hosts);
    later->d_inode->i_generation = 2; /* the number is that of a deleted file */
    assert_true(wanted(w.hosts));
    assert_false(wanted(elsewhere));
    assert_false(wanted(later));
}

static void in_btrfs_the_address_counts(void **state)
{
    struct super_block btrfs = {.s_dev = 8, .s_magic = BTRFS_SUPER_MAGIC};
    struct dentry *home = entry(&btrfs, NULL, 256), *snapshot = entry(&btrfs, NULL, 256);

    (void)state;
    add("O", home);
    add("X", entry(&btrfs, home, 257));
    assert_true(wanted(home));
    assert_false(wanted(snapshot));
    assert_true(wanted(entry(&btrfs, home, 257)));
}

static void the_nearest_decides(void **state)
{
    (void)state;
    add("O", w.root);
    add("X", w.srv);
    add("O", w.data);
    assert_true(wanted(w.hosts));
    assert_false(wanted(w.srv));
    assert_false(wanted(entry(&disk, w.srv, 20)));
    assert_true(wanted(w.data));
    assert_true(wanted(entry(&disk, w.data, 21)));
}

static void an_exclusion_wins_over_the_same_path(void **state)
{
    (void)state;
    add("O", w.etc);
    add("X", dentry_of(w.srv, w.etc->d_inode));
    add("X", w.data);
    add("O", w.data);
    assert_false(wanted(w.hosts));
    assert_false(wanted(w.data));
}

static void with_only_exclusions_every_other_file_is_wanted(void **state)
{
    (void)state;
    add("X", w.etc);
    assert_false(wanted(w.hosts));
    assert_true(wanted(w.data));
    assert_true(wanted(w.root));
}

/* /srv/data/sub is mounted at /mnt/point: its files are below both. */
static void a_bind_mount_is_below_its_source_and_its_point(void **state)
{
    struct dentry *sub = entry(&disk, w.data, 10), *file = entry(&disk, sub, 11);
    struct dentry *mnt = entry(&disk, w.root, 12), *point = entry(&disk, mnt, 13);
    struct fm_mount *bind = mounted(sub, w.mount, point);

    (void)state;
    add("O", entry(&disk, NULL, 99));
    assert_false(wanted_in(bind, file));
    add("O", w.data);
    assert_true(wanted_in(bind, file));
    assert_true(wanted_in(bind, sub));
    add("X", mnt); /* as near as data: sub and point are one component */
    assert_false(wanted_in(bind, file));
    add("O", point); /* it is nearer, though another file system covers it */
    assert_true(wanted_in(bind, file));
    add("X", sub);
    assert_false(wanted_in(bind, file));
}

/* What is above a mount point counts, over several mounts, and also above the source of each. */
static void mounts_on_mounts_are_walked_over(void **state)
{
    struct dentry *tree = entry(&other, NULL, 2), *below = entry(&other, tree, 3);
    struct dentry *in = entry(&other, below, 4), *file = entry(&disk, NULL, 50);
    struct fm_mount *outer = mounted(below, w.mount, w.data), *inner = mounted(file, outer, in);

    (void)state;
    add("O", tree);
    assert_true(wanted_in(inner, file));
    assert_false(wanted(w.data));
    add("X", w.srv);
    assert_false(wanted_in(mounted(file, w.mount, w.data), file));
    assert_false(wanted_in(inner, file)); /* srv is as near as tree */
}

/* Its file is opened through the mount all the same, by a process that has it as its working
 * directory. */
static void a_directory_can_be_moved_out_of_a_bind_mount(void **state)
{
    struct dentry *sub = entry(&disk, w.data, 10), *moved = entry(&disk, sub, 11);
    struct dentry *file = entry(&disk, moved, 12);
    struct fm_mount *bind = mounted(sub, w.mount, w.etc);

    (void)state;
    add("O", sub);
    assert_true(wanted_in(bind, file));
    moved->d_parent = w.srv;
    assert_int_equal(judged_in(bind, file), FM_UNWANTED);
    add("O", w.srv);
    assert_true(wanted_in(bind, file));
}

static void a_search_during_a_rename_is_repeated(void **state)
{
    (void)state;
    add("O", w.etc);
    kernel_seq_retries = 2;
    assert_true(wanted(w.hosts));
    assert_int_equal(kernel_seq_retries, 0);
}

static void pipes_are_below_nothing(void **state)
{
    static const struct dentry_operations names_itself = {.d_dname = (void *)1};
    struct dentry *pipe = entry(&other, NULL, 77);
    struct fm_mount *pipes = mounted(entry(&other, NULL, 1), NULL, NULL);

    (void)state;
    pipe->d_op = &names_itself;
    add("X", w.etc);
    assert_true(wanted_in(pipes, pipe));
    add("O", w.root);
    assert_int_equal(judged_in(pipes, pipe), FM_UNWANTED);
}

/* open_by_handle_at() can give a file whose directory is not in the dentry cache. */
static void a_file_without_a_directory_is_undecided_unless_it_is_meant(void **state)
{
    struct dentry *file = entry(&disk, NULL, 4);

    (void)state;
    add("O", w.etc);
    assert_int_equal(judged_in(w.mount, file), FM_UNDECIDED);
    add("O", w.hosts); /* the same inode */
    assert_true(wanted(file));
}

static void without_memory_the_watch_does_not_begin(void **state)
{
    (void)state;
    fm_on = false;
    kernel_memory = 0;
    add("O", w.etc);
    fm_control("G");
    assert_false(fm_on);
    lines_are(STATUS_LINE("sin_inodo"));
}

static void without_its_descriptor_the_watch_does_not_begin(void **state)
{
    (void)state;
    fm_on = false;
    fm_control("+8");
    fm_control("X");
    fm_control("G");
    assert_false(fm_on);
    lines_are(STATUS_LINE("sin_inodo"));
}

/* With 40,000 inodes, each list has several. */
static void inodes_in_the_same_list_are_distinguished(void **state)
{
    struct inode inode = {.i_sb = &disk};
    struct dentry dentry = {.d_inode = &inode};

    (void)state;
    dentry.d_parent = w.root;
    fm_by_inode = true;
    for (inode.i_ino = 100; inode.i_ino < 40100; inode.i_ino++)
        fm_inode_insert(&inode, inode.i_ino % 2);
    for (inode.i_ino = 100; inode.i_ino < 40100; inode.i_ino++)
        assert_int_equal(wanted(&dentry), inode.i_ino % 2);
}

static void opens_and_held_descriptors_are_reported_by_inode(void **state)
{
    struct task_struct *task = world_process(200, "target", NULL);
    unsigned int fd;

    (void)state;
    add("O", w.etc);
    fm_mark(task, 1);
    fm_initial = true;
    for (fd = 5; fd <= 6; fd++)
        world_install(task->files, fd, file_at(w.mount, fd == 5 ? w.hosts : w.data));
    while (fm_initial)
        fm_scan_next();
    assert_non_null(strstr(lines(), "\"held\", proceso: \"target\""));
    assert_true(fm_is_recorded(fm_find_table(task->files), 5));
    assert_false(fm_is_recorded(fm_find_table(task->files), 6));
    world_call(__NR_openat, (unsigned long)AT_FDCWD, (unsigned long)"f", O_RDONLY, 0);
    fm_installing(8, file_at(w.mount, w.data));
    no_lines();
    fm_installing(8, file_at(w.mount, w.hosts));
    assert_non_null(strstr(lines(), "codigo: \"open\""));
}

#define inode_test(test) cmocka_unit_test_setup_teardown(test, set_up, script_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        inode_test(without_inodes_every_file_is_wanted),
        inode_test(a_directory_means_what_is_below_it),
        inode_test(a_file_is_meant_by_each_of_its_names),
        inode_test(a_moved_directory_is_still_meant),
        inode_test(other_inodes_with_the_number_are_not_meant),
        inode_test(in_btrfs_the_address_counts),
        inode_test(the_nearest_decides),
        inode_test(an_exclusion_wins_over_the_same_path),
        inode_test(with_only_exclusions_every_other_file_is_wanted),
        inode_test(a_bind_mount_is_below_its_source_and_its_point),
        inode_test(mounts_on_mounts_are_walked_over),
        inode_test(a_directory_can_be_moved_out_of_a_bind_mount),
        inode_test(a_search_during_a_rename_is_repeated),
        inode_test(pipes_are_below_nothing),
        inode_test(a_file_without_a_directory_is_undecided_unless_it_is_meant),
        inode_test(without_memory_the_watch_does_not_begin),
        inode_test(without_its_descriptor_the_watch_does_not_begin),
        inode_test(inodes_in_the_same_list_are_distinguished),
        inode_test(opens_and_held_descriptors_are_reported_by_inode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
