"""The folder of the subject hierarchy in which the nodes of one session stand, beside their volume.

The application gives nodes their items and takes them away again. Where no application runs nodes have none, and
nothing happens here.
"""

import slicer


def make_folder(volume_node, name: str, *nodes) -> None:
    """A folder of that name beside the volume, with ``nodes`` in it."""
    hierarchy = _hierarchy(volume_node)
    item = 0 if hierarchy is None else hierarchy.GetItemByDataNode(volume_node)
    if item:
        folder = hierarchy.CreateFolderItem(hierarchy.GetItemParent(item), name)
        for node in nodes:
            _put(hierarchy, node, folder)


def put_beside(node, other) -> None:
    """Put a node into the folder of another, where that stands in one."""
    hierarchy = _hierarchy(node)
    if hierarchy is not None:
        folder = _parent(hierarchy, other)
        if folder:
            _put(hierarchy, node, folder)


def folder_of(node) -> int:
    """Item of the folder in which a node stands, 0 for none."""
    hierarchy = _hierarchy(node)
    parent = 0 if hierarchy is None else _parent(hierarchy, node)
    is_folder = parent and parent != hierarchy.GetSceneItemID() and hierarchy.GetItemDataNode(parent) is None
    return parent if is_folder else 0


def remove_if_empty(scene, folder: int) -> None:
    """Delete a folder in which nothing is left."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is not None and folder and hierarchy.GetNumberOfItemChildren(folder) == 0:
        hierarchy.RemoveItem(folder)


def _hierarchy(node):
    scene = node.GetScene()
    return None if scene is None else slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _parent(hierarchy, node) -> int:
    item = hierarchy.GetItemByDataNode(node)
    return hierarchy.GetItemParent(item) if item else 0


def _put(hierarchy, node, folder: int) -> None:
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, folder)
