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
    local taken
    for taken in "$root/code/$model_name" "$root/code/$model_name.py"; do
        [[ ! -e $taken || $taken -ef $model_folder ]] ||
            fail "--model: rename $model_folder; the container has a module $model_name"
    done
    model_environment=("PYTHONPATH=$root/code:${model_folder%/*}" "MODEL_PACKAGE=$model_name")
    [[ ! -f $model_folder/requirements.txt ]] || check_requirements "$model_folder/requirements.txt"
}

# read_pins FILE: sets pins to NAME==VERSION of each package, followed by its hashes.
read_pins() {
    local content line
    content=$(<"$1")
    pins=()
    # A pin continues over lines that end with a backslash.
    while read -r line; do
        [[ -z $line || $line == [#-]* ]] || pins+=("$line")
    done <<<"${content//\\$'\n'/ }"
}

# normalize NAME: sets normalized to the name as package indexes compare it.
normalize() {
    normalized=${1,,}
    normalized=${normalized//[._]/-}
}

# check_requirements FILE: every package has a version and hashes, and the version is the container's where that has one.
check_requirements() {
    local pin pins normalized version known
    local -A versions=()
    [[ $(<"$root/Dockerfile") =~ \ torch==([0-9.]+) ]] && versions[torch]="${BASH_REMATCH[1]} "
    read_pins "$root/container/requirements.txt"
    for pin in "${pins[@]}"; do
        normalize "${pin%%==*}"
        pin=${pin#*==}
        # Some packages have several versions, for several versions of Python.
        versions[$normalized]+="${pin%%[ ;]*} "
    done
    read_pins "$1"
    for pin in ${pins[@]+"${pins[@]}"}; do
        [[ $pin =~ ^([A-Za-z0-9._-]+)(\[[^]]*\])?\ *==\ *([^\ \;]+).*\ --hash= ]] ||
            fail "$1: ${pin%%[ ;]*} lacks its version or hashes; make the file with uv pip compile --generate-hashes"
        normalize "${BASH_REMATCH[1]}"
        version=${BASH_REMATCH[3]} known=${versions[$normalized]:-}
        [[ -z $known || " $known" == *" $version "* ]] ||
            fail "$1: ${BASH_REMATCH[1]} $version conflicts with the container's version ${known% }"
    done
}
