# shellcheck shell=bash disable=SC2154,SC2034  # the script that sources this has root and fail, and uses the results
# The option --model FOLDER of the scripts here and of build_and_push.sh. FOLDER is a model package; its name is the
# import name.

model_folder=
model_name=
model_environment=("PYTHONPATH=$root/code")

# use_model FOLDER: sets the variables above, and checks the package's requirements.
use_model() {
    [[ -d $1 ]] || fail "--model: $1 is not a folder"
    model_folder=$(cd "$1" && pwd -P)
    model_name=${model_folder##*/}
    [[ -f $model_folder/__init__.py && $model_name =~ ^[a-zA-Z_][a-zA-Z0-9_]*$ ]] ||
        fail "--model: $model_folder is not a package; expected __init__.py and a name of letters, digits and _"
    local taken fault
    for taken in "$root/code/$model_name" "$root/code/$model_name.py"; do
        [[ ! -e $taken || $taken -ef $model_folder ]] ||
            fail "--model: rename $model_folder; the container has a module $model_name"
    done
    model_environment=("PYTHONPATH=$root/code:${model_folder%/*}" "MODEL_PACKAGE=$model_name")
    [[ -f $model_folder/requirements.txt ]] || return 0
    fault=$(requirements_fault "$model_folder/requirements.txt") || true # awk may end first
    [[ -z $fault ]] || fail "$model_folder/requirements.txt: $fault"
}

# requirements_fault FILE: print the first package that lacks its version or hashes, or whose version is not the
# container's where that has one. Some packages have several versions there, for several versions of Python.
requirements_fault() {
    { grep -o 'torch==[0-9.]*' "$root/Dockerfile" && cat "$root/container/requirements.txt" && echo --- && cat "$1"; } |
        awk '
            { while (sub(/\\$/, "") && (getline more) > 0) $0 = $0 more }
            /^---/ { is_model = 1 }
            /^[ \t]*($|#|-)/ { next }
            is_model && !/^[A-Za-z0-9._-]+(\[[^]]*\])? *== *[^ ;]+.* --hash=/ {
                print $1 " lacks its version or hashes; make the file with uv pip compile --generate-hashes"; exit
            }
            {
                name = $0; sub(/[\[= ].*/, "", name); key = tolower(name); gsub(/[._]/, "-", key)
                version = $0; sub(/^[^=]*== */, "", version); sub(/[ ;].*/, "", version)
                if (!is_model) versions[key] = versions[key] " " version
                else if (key in versions && index(versions[key] " ", " " version " ") == 0) {
                    print name " " version " conflicts with the container'\''s version" versions[key]; exit
                }
            }'
}
