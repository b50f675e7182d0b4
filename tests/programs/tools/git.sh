#!/bin/sh
# A repository: made, changed, merged, packed, cloned and looked through.
export HOME=/tmp GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
git config --global user.email someone@example.org
git config --global user.name Someone
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git init -q one && cd one || exit
seq 1 200 >numbers && echo hello >greeting && mkdir -p deep/er && echo x >deep/er/x
git add . && git commit -qm first && git log --format='%H %s'
sed -i 's/^100$/one hundred/' numbers && git diff | tail -n +3 && git commit -qam second
git checkout -qb side HEAD~1 && seq 1 50 >>numbers && git commit -qam third
git merge -q main -m merged && git log --format='%h %p %s' --graph
git mv greeting salutation && rm deep/er/x && git status --short && git commit -qam moved
git checkout -q HEAD~1 && ls && git checkout -q side && ls
git stash -q 2>&1; echo "nothing to stash: $?"
echo changed >salutation && git stash -q && cat salutation && git stash pop -q && cat salutation
git commit -qam again && git tag -a v1 -m tagged && git describe
# Packs are written, mapped, and read again.
git gc -q && git count-objects -v | grep -E '^(count|in-pack|packs)' && git fsck --strict
git clone -q . ../two && cd ../two && git log --format=%H -1 && git grep -n 'one hundred' v1
cd ../one && echo more >>salutation && git commit -qam last && cd ../two && git pull -q --ff-only
git blame -s salutation && git show --stat --format=%s && git bisect start -q 2>&1
git rev-list --all --objects | wc -l && git archive --format=tar HEAD | tar t
git cat-file -p no-such-thing 2>&1; echo $?
