"""What CMake ships is what there is: the real CMake evaluates the lists; Slicer's macros only report."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_FOLDERS = ("orthoangles", "OrthoAnglesLib", "Resources", "models")
MODULES = ("CobbModule", "FootAngleModule")

# Runs by `cmake -P`, without compiler or build tool. Slicer's macros are replaced by ones that report their arguments
# in the form source|place in the module folder.
STAND_IN = """
set(CMAKE_CURRENT_SOURCE_DIR "${REPOSITORY}")
set(CMAKE_BINARY_DIR "/build")
set(BUILD_TESTING ON)
file(WRITE "${SCRATCH}/empty.cmake" "")
macro(project name)
  set(PROJECT_NAME ${name})
endmacro()
macro(find_package name)
  foreach(variable Slicer_USE_FILE Slicer_EXTENSION_GENERATE_CONFIG Slicer_EXTENSION_CPACK)
    set(${variable} "${SCRATCH}/empty.cmake")
  endforeach()
  set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "modules")
  set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "modules")
  message("PACKAGE|${name}")
endmacro()
macro(add_subdirectory folder)
  set(CMAKE_CURRENT_SOURCE_DIR "${REPOSITORY}/${folder}")
  include("${REPOSITORY}/${folder}/CMakeLists.txt")
  set(CMAKE_CURRENT_SOURCE_DIR "${REPOSITORY}")
endmacro()
function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(MY "NO_INSTALL_SUBDIR" "TARGET_NAME;DESTINATION_DIR;INSTALL_DIR" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR NOT MY_NO_INSTALL_SUBDIR OR NOT MY_DESTINATION_DIR STREQUAL "/build/modules")
    message(FATAL_ERROR "ctkMacroCompilePythonScript: ${ARGN}")
  endif()
  foreach(file IN LISTS MY_SCRIPTS MY_RESOURCES)
    message("FILE|${CMAKE_CURRENT_SOURCE_DIR}/${file}|${file}")
  endforeach()
endfunction()
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY "WITH_GENERIC_TESTS;WITH_SUBDIR" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS OR MY_WITH_SUBDIR OR NOT MY_WITH_GENERIC_TESTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: ${ARGN}")
  endif()
  message("MODULE|${MY_NAME}")
  ctkMacroCompilePythonScript(TARGET_NAME ${MY_NAME} SCRIPTS "${MY_SCRIPTS}" RESOURCES "${MY_RESOURCES}"
    DESTINATION_DIR "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}" INSTALL_DIR "modules" NO_INSTALL_SUBDIR)
endfunction()
function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "SCRIPT" "" ${ARGN})
  message("TEST|${MY_SCRIPT}")
endfunction()
include("${REPOSITORY}/CMakeLists.txt")
foreach(name HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  message("EXTENSION|${name}|${EXTENSION_${name}}")
endforeach()
"""


def cmake() -> str:
    found = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if found is None:
        pytest.skip("there is no cmake: pip install cmake")
    return found


def evaluated(repository: Path, scratch: Path) -> dict[str, list[list[str]]]:
    """What the CMake files of ``repository`` say, by kind."""
    scratch.mkdir(exist_ok=True)
    script = scratch / "evaluate.cmake"
    script.write_text(STAND_IN)
    command = [cmake(), f"-DREPOSITORY={repository}", f"-DSCRATCH={scratch}", "-P", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said: dict[str, list[list[str]]] = {}
    for line in done.stderr.splitlines():
        kind, *values = line.split("|")
        said.setdefault(kind, []).append(values)
    return said


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    return evaluated(REPOSITORY, tmp_path_factory.mktemp("cmake"))


def placed(said) -> dict[str, Path]:
    """Place in the module folder to source file."""
    return {place: Path(source) for source, place in said["FILE"]}


def files_that_must_ship() -> set[Path]:
    shared = [path for folder in SHARED_FOLDERS for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    own = [path for module in MODULES for path in (REPOSITORY / module).rglob("*") if path.is_file()]
    own = [path for path in own if path.name != "CMakeLists.txt" and "Testing" not in path.parts]
    return {path for path in (*shared, *own) if not left_out(path.relative_to(REPOSITORY))}


def left_out(path: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return hidden or path.suffix == ".pyc" or path.parts[:2] == ("Resources", "Screenshots")


def test_every_file_that_must_ship_does_and_no_other(said):
    assert set(placed(said).values()) == files_that_must_ship()


def test_nothing_ships_twice_or_to_one_place(said):
    assert len(placed(said)) == len(said["FILE"])


def test_both_modules_are_built_with_their_tests(said):
    assert said["MODULE"] == [["CobbModule"], ["FootAngleModule"]]
    assert said["TEST"] == [["CobbModule.py"], ["FootAngleModule.py"]]


def test_the_extension_says_what_the_index_asks_for(said):
    extension = dict(said["EXTENSION"])
    assert all(extension.values())
    assert extension["DEPENDS"] == "PyTorch"
    assert extension["CATEGORY"] == "Quantification"
    texts = (REPOSITORY / "OrthoAnglesLib" / "module_texts.py").read_text()
    assert f'HOMEPAGE = "{extension["HOMEPAGE"]}"' in texts
    for url in (extension["ICONURL"], *extension["SCREENSHOTURLS"].split(" ")):
        assert (REPOSITORY / re.sub(r"^.*/main/", "", url)).is_file(), url


def test_a_new_file_of_each_kind_ships_without_being_listed(tmp_path):
    copy = tmp_path / "repository"
    for module in MODULES:
        shutil.copytree(REPOSITORY / module, copy / module)
    shutil.copy(REPOSITORY / "CMakeLists.txt", copy)
    wanted = {
        "orthoangles/geometry/new.py",
        "orthoangles/geometry/new.json",
        "OrthoAnglesLib/Resources/UI/New.ui",
        "Resources/Protocols/new.json",
        "models/new/models/model.pt",
        "models/new/configs/metadata.json",
        "models/new/docs/README.md",
    }
    unwanted = {"orthoangles/__pycache__/new.cpython-311.pyc", "models/.cache/x", "Resources/Screenshots/new.png"}
    for name in wanted | unwanted:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("")
    places = set(placed(evaluated(copy, tmp_path / "scratch")))
    assert wanted <= places
    assert not unwanted & places


def test_what_ships_works_where_it_is_installed(said, tmp_path):
    """In a child process, from the installed folders alone: protocols, models and both module files find each other."""
    for place, source in placed(said).items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".pt":
            (tmp_path / place).symlink_to(source)
        else:
            shutil.copy(source, tmp_path / place)
    code = """
import orthoangles.paths as paths
from orthoangles.protocols import available_protocols, load_protocol
from pathlib import Path
here = Path.cwd()
assert Path(paths.__file__).parent.parent == here, paths.__file__
assert paths.models_dir() == here / "models"
print(*[load_protocol(name).id for name in available_protocols()], (here / "CobbModule.py").is_file())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTHONPATH": "."}
    )
    shipped = [file.stem for file in (REPOSITORY / "Resources" / "Protocols").glob("*.json")]
    wanted = sorted(name for name in shipped if name != "protocol.schema")
    assert done.stdout.split() == [*wanted, "True"], done.stderr
